//! The rows as trainers read them.

use lancer_core::{Conversation, Message, Role, with_thought};
use serde::Serialize;
use serde_json::{Value, json};

use crate::export::{Export, PreferenceRow, SftRow};

/// What a row is written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines of JSON, each for itself.
    Lines,
    /// Columns of one type each.
    Columns,
}

/// The turns; in columns the arguments of calls are JSON as text.
fn turns(messages: &[Message], form: Form) -> Vec<Value> {
    let turn = |message: &Message| {
        let mut turn = serde_json::to_value(message).unwrap_or_default();
        let calls = turn.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten().filter(|_| form == Form::Columns) {
            if let Some(arguments) = call.pointer_mut("/function/arguments") {
                *arguments = Value::from(arguments.to_string());
            }
        }
        turn
    };
    messages.iter().map(turn).collect()
}

fn tools(conversation: &Conversation) -> Option<String> {
    (!conversation.tools.is_empty()).then(|| Value::Array(conversation.tools.clone()).to_string())
}

/// TRL's "conversational language modeling".
#[derive(Serialize)]
pub(super) struct SftMessages<'a> {
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<String>,
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score: Option<f64>,
}

pub(super) fn sft_messages(rows: &[SftRow], form: Form) -> Vec<SftMessages<'_>> {
    rows.iter()
        .map(|row| SftMessages {
            messages: turns(&row.conversation.messages, form),
            tools: tools(&row.conversation),
            key: &row.key,
            seed: &row.seed,
            iteration: row.iteration,
            score: row.score,
        })
        .collect()
}

/// TRL's "prompt-completion".
#[derive(Serialize)]
pub(super) struct SftPlain<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    prompt: &'a str,
    completion: String,
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score: Option<f64>,
}

pub(super) fn sft_plain(rows: &[SftRow]) -> Vec<SftPlain<'_>> {
    rows.iter()
        .filter_map(|row| {
            let (system, prompt) = plain(row.conversation.prompt(), &row.conversation.tools)?;
            Some(SftPlain {
                system,
                prompt,
                completion: row.conversation.response().and_then(text)?,
                key: &row.key,
                seed: &row.seed,
                iteration: row.iteration,
                score: row.score,
            })
        })
        .collect()
}

/// The system prompt and the prompt, where there is nothing else.
fn plain<'a>(prompt: &'a [Message], tools: &[Value]) -> Option<(Option<&'a str>, &'a str)> {
    let (system, user) = match prompt {
        [user] => (None, user),
        [system, user] if system.role == Role::System => (Some(system.content.as_str()), user),
        _ => return None,
    };
    (user.role == Role::User && tools.is_empty()).then_some((system, user.content.as_str()))
}

/// A response as text, its thoughts before the answer; `None` where it calls tools.
fn text(response: &Message) -> Option<String> {
    response.tool_calls.is_empty().then(|| match &response.reasoning_content {
        Some(thought) => with_thought(thought, &response.content),
        None => response.content.clone(),
    })
}

/// TRL's "preference" with an explicit prompt: of messages, or of text.
#[derive(Serialize)]
pub(super) struct Preference<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    prompt: T,
    chosen: T,
    rejected: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<String>,
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score_chosen: Option<f64>,
    score_rejected: Option<f64>,
}

impl<'a, T> Preference<'a, T> {
    fn new(row: &'a PreferenceRow, prompt: T, chosen: T, rejected: T) -> Self {
        Self {
            system: None,
            prompt,
            chosen,
            rejected,
            tools: None,
            key: &row.key,
            seed: &row.seed,
            iteration: row.iteration,
            score_chosen: row.chosen_score,
            score_rejected: row.rejected_score,
        }
    }
}

pub(super) fn preference_messages(rows: &[PreferenceRow], form: Form) -> Vec<Preference<'_, Vec<Value>>> {
    let one = |message: &Message| turns(std::slice::from_ref(message), form);
    rows.iter()
        .map(|row| {
            let prompt = turns(&row.prompt.messages, form);
            let tools = tools(&row.prompt);
            Preference { tools, ..Preference::new(row, prompt, one(&row.chosen), one(&row.rejected)) }
        })
        .collect()
}

pub(super) fn preference_plain(rows: &[PreferenceRow]) -> Vec<Preference<'_, String>> {
    rows.iter()
        .filter_map(|row| {
            let (system, prompt) = plain(&row.prompt.messages, &row.prompt.tools)?;
            let plain = Preference::new(row, prompt.to_owned(), text(&row.chosen)?, text(&row.rejected)?);
            Some(Preference { system, ..plain })
        })
        .collect()
}

/// LLaMA-Factory's `dataset_info.json`: `lancer_sft` and `lancer_preference`.
pub(super) fn llama_factory_info(export: &Export<'_>) -> String {
    let mut info = serde_json::Map::new();
    if !export.sft.is_empty() {
        let tags = json!({
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
            "observation_tag": "tool",
        });
        let mut columns = json!({ "messages": "messages" });
        if export.sft.iter().any(|row| !row.conversation.tools.is_empty()) {
            columns["tools"] = "tools".into();
        }
        info.insert(
            "lancer_sft".into(),
            json!({ "file_name": "sft.jsonl", "formatting": "sharegpt", "columns": columns, "tags": tags }),
        );
    }
    if !preference_plain(export.preference).is_empty() {
        let mut columns = json!({ "prompt": "prompt", "chosen": "chosen", "rejected": "rejected" });
        if preference_plain(export.preference).iter().any(|row| row.system.is_some()) {
            columns["system"] = "system".into();
        }
        info.insert(
            "lancer_preference".into(),
            json!({ "file_name": "plain/preference.jsonl", "ranking": true, "columns": columns }),
        );
    }
    format!("{:#}\n", serde_json::Value::Object(info))
}
