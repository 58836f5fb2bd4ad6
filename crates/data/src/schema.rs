//! A record out of a row in any of the layouts that instruction data comes in, and back into a row.

mod layout;
mod preference;
mod rated;
mod system;
mod tools;
mod turns;

use std::borrow::Cow;

use lancer_core::{Conversation, Message, Role};
use serde_json::{Map, Value};

pub(crate) use layout::Layout;
pub(crate) use preference::{Labelled, labelled, preference};

use crate::record::{Record, SourceRow};

/// What of a row is not used, in words.
pub(crate) type Unused = Vec<Cow<'static, str>>;

/// The fields under which a row may name itself.
const KEYS: [&str; 2] = ["key", "id"];

/// The record that a row holds, under its own key or `automatic_key`; or why it holds none.
///
/// The layout is the first that is complete, see [`Layout::of_row`]. Text under `system` is a system turn before the others.
pub(crate) fn record(row: Map<String, Value>, automatic_key: &str) -> Result<Record, String> {
    let fields = without_nulls(row);
    let key = key(&fields)?.unwrap_or_else(|| automatic_key.to_owned());
    let layout = Layout::of_row(&fields).ok_or_else(|| unknown(&fields))?;
    let mut unused = Unused::new();
    let mut messages = layout.read(&fields, &mut unused)?;
    system::add(&fields, &mut messages)?;
    let messages = usable(messages, &mut unused)?;
    let conversation = Conversation { messages, tools: tools::of_row(&fields)? };
    let mut row = SourceRow { layout, fields, is_changed: false, unused };
    row.forget_what_can_be_written(&conversation);
    Ok(Record { key, conversation, row })
}

/// The fields of a record's row that are neither its key nor its conversation.
pub(crate) fn other_fields(record: &Record) -> Map<String, Value> {
    let row = &record.row;
    let is_other = |name: &str| !KEYS.contains(&name) && !row.layout.is_field(name);
    row.fields
        .iter()
        .filter(|(name, _)| is_other(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A record as a row.
pub(crate) fn row(record: &Record) -> Map<String, Value> {
    let SourceRow { layout, fields, is_changed, .. } = &record.row;
    let named = KEYS.into_iter().find_map(|name| fields.get(name));
    let is_named = named.is_some_and(|name| {
        crate::integer::digits(name).is_some_and(|digits| digits == record.key) || *name == record.key
    });
    let mut row = Map::new();
    if !is_named && !record.key.is_empty() {
        row.insert("key".into(), Value::from(record.key.as_str()));
    }
    let written = layout.write(&record.conversation, fields.contains_key(system::FIELD));
    let other_layout = written.is_none();
    let mut written =
        written.unwrap_or_else(|| Layout::Turns(turns::Naming::MESSAGES).write_always(&record.conversation));
    for (name, value) in fields {
        if is_named && KEYS.contains(&name.as_str()) {
            row.insert(name.clone(), value.clone());
        } else if KEYS.contains(&name.as_str()) {
            // Another file has the name too; the key says which one this is.
            row.entry(name.clone()).or_insert_with(|| value.clone());
        } else if !layout.is_field(name) {
            row.insert(name.clone(), value.clone());
        } else if *is_changed || value.is_null() {
            if let Some(value) = written.shift_remove(name) {
                row.insert(name.clone(), value);
            }
        } else if !other_layout || !*is_changed {
            row.insert(name.clone(), value.clone());
        }
    }
    if *is_changed {
        row.extend(written);
    }
    row
}

impl SourceRow {
    /// Makes those fields null that come out of the conversation as they are.
    fn forget_what_can_be_written(&mut self, conversation: &Conversation) {
        let Some(written) = self.layout.write(conversation, self.fields.contains_key(system::FIELD)) else {
            return;
        };
        let is_whole =
            self.fields.iter().filter(|(name, _)| self.layout.is_field(name)).count() == written.len();
        if is_whole && written.iter().all(|(name, value)| self.fields.get(name) == Some(value)) {
            for name in written.keys() {
                self.fields.insert(name.clone(), Value::Null);
            }
        }
    }
}

/// A row without what is null: in Parquet a field that is not there.
fn without_nulls(mut row: Map<String, Value>) -> Map<String, Value> {
    row.retain(|_, value| !value.is_null());
    row
}

/// The turns from the first of the user to the last of the model, with the system turns; or why they are no conversation.
fn usable(mut messages: Vec<Message>, unused: &mut Unused) -> Result<Vec<Message>, String> {
    messages.retain(|turn| turn.role != Role::System || !turn.content.trim().is_empty());
    let first_user = messages.iter().position(|turn| turn.role == Role::User).ok_or("no turn of a user")?;
    if messages[..first_user].iter().any(|turn| turn.role != Role::System) {
        // FastChat leaves them out too.
        unused.push("turns before the first of a user".into());
    }
    let mut place = 0;
    messages.retain(|turn| {
        place += 1;
        place > first_user || turn.role == Role::System
    });
    let last = messages.iter().rposition(|turn| turn.role == Role::Assistant);
    let last = last.ok_or("nothing after the first user turn is an answer")?;
    if last + 1 < messages.len() {
        unused.push("turns after the last answer".into());
        messages.truncate(last + 1);
    }
    for turn in &messages {
        check_characters(turn)?;
    }
    let said = |turn: &Message| !turn.content.trim().is_empty() || !turn.tool_calls.is_empty();
    let prompt = messages[..last].iter().rev().find(|turn| turn.role == Role::User);
    if prompt.is_some_and(|turn| turn.content.trim().is_empty()) {
        return Err("the prompt is empty".into());
    }
    if !said(&messages[last]) {
        let is_thought = messages[last].reasoning_content.is_some();
        return Err(if is_thought {
            "the response is a thought without an answer"
        } else {
            "the response is empty"
        }
        .into());
    }
    Ok(messages)
}

/// Neither C strings, which tokenizers take, nor database tools keep what follows a NUL.
fn check_characters(turn: &Message) -> Result<(), String> {
    let thoughts = turn.reasoning_content.as_deref().unwrap_or_default();
    if turn.content.contains('\0') || thoughts.contains('\0') {
        let part = match turn.role {
            Role::User => "prompt",
            Role::Assistant => "response",
            Role::System => "system prompt",
            Role::Tool => "tool's result",
        };
        return Err(nul(part));
    }
    Ok(())
}

/// The text under `key` or `id`; a whole number is one too.
fn key(row: &Map<String, Value>) -> Result<Option<String>, String> {
    for name in KEYS {
        match row.get(name) {
            None => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) if text.contains('\0') => return Err(nul(name)),
            Some(value) => match crate::integer::digits(value) {
                Some(digits) => return Ok(Some(digits)),
                None => match value {
                    Value::String(text) => return Ok(Some(text.clone())),
                    other => return Err(format!("`{name}` is {}, not text or a whole number", kind(other))),
                },
            },
        }
    }
    Ok(None)
}

/// The text of a field.
pub(crate) fn text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{name}` is {}, not text", kind(other))),
    }
}

fn nul(name: &str) -> String {
    format!("the {name} has a NUL character in it")
}

fn unknown(row: &Map<String, Value>) -> String {
    format!(
        "found {}; a record is `prompt` with `response` or `completion`, `instruction` with `output`, `question` with \
         `answer`, `input` with `output`, `messages`, `conversations` or `data`",
        named(row)
    )
}

/// The names of a row's fields.
fn named(row: &Map<String, Value>) -> String {
    let mut names: Vec<String> = row.keys().take(8).map(|name| format!("`{name}`")).collect();
    if row.len() > names.len() {
        names.push("...".into());
    }
    if names.is_empty() { "no field".to_owned() } else { names.join(", ") }
}

/// What a JSON value is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
