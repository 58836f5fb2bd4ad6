//! Turns of a conversation as rows have them, in the names of `OpenAI` or of `ShareGPT`, and back.

use lancer_core::{Message, Role, ToolCall, with_thought};
use serde_json::{Map, Value, json};

use super::{Unused, kind};

/// What a list of turns and its parts are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Naming {
    /// The row's field.
    pub(super) field: &'static str,
    pub(super) style: Style,
}

/// What the parts of a turn are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `role` and `content`.
    OpenAi,
    /// `from` and `value`.
    ShareGpt,
}

impl Naming {
    pub(super) const MESSAGES: Self = Self { field: "messages", style: Style::OpenAi };
}

impl Style {
    /// The style of a list of turns, by the first of them.
    pub(super) fn of(turns: &Value) -> Self {
        let first = turns.as_array().and_then(|turns| turns.first());
        if first.is_some_and(|first| first.get("from").is_some()) { Self::ShareGpt } else { Self::OpenAi }
    }
}

/// The turns under a field.
pub(super) fn read(name: &str, value: &Value, unused: &mut Unused) -> Result<Vec<Message>, String> {
    let turns =
        value.as_array().ok_or_else(|| format!("`{name}` is {}, not a list of turns", kind(value)))?;
    (1..).zip(turns).map(|(place, turn)| read_turn(place, turn, unused)).collect()
}

/// One turn.
pub(super) fn read_turn(place: usize, turn: &Value, unused: &mut Unused) -> Result<Message, String> {
    let turn = turn.as_object().ok_or_else(|| format!("turn {place} is {}, not an object", kind(turn)))?;
    let in_turn = |reason: String| format!("turn {place}: {reason}");
    let role = role(place, turn)?;
    let content = match turn.get("content").or_else(|| turn.get("value")).filter(|value| !value.is_null()) {
        Some(content) => said(content).map_err(in_turn)?,
        None if has_calls(turn) => String::new(),
        None => return Err(format!("turn {place} has no `content` and no `value`")),
    };
    if turn.get("from").is_some_and(|from| from == "function_call") {
        let call = serde_json::from_str(&content)
            .map_err(|error| in_turn(format!("the call is not JSON: {error}")))?;
        return Ok(Message::assistant("").with_call(call));
    }
    let mut message = Message::new(role, content);
    for (name, value) in turn.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "role" | "from" | "content" | "value" => {}
            "reasoning_content" | "reasoning" | "thinking" => {
                let thought = super::text(name, value).map_err(in_turn)?;
                message.reasoning_content = (!thought.trim().is_empty()).then_some(thought);
            }
            "tool_calls" => message.tool_calls = calls(value).map_err(in_turn)?,
            "function_call" => message.tool_calls.push(call(value).map_err(in_turn)?),
            "tool_call_id" => message.tool_call_id = Some(super::text(name, value).map_err(in_turn)?),
            "name" => message.name = Some(super::text(name, value).map_err(in_turn)?),
            other => note(unused, format!("`{}` of turns", other.chars().take(40).collect::<String>())),
        }
    }
    Ok(if role == Role::Assistant { message.with_thought_apart() } else { message })
}

fn note(unused: &mut Unused, what: String) {
    if !unused.iter().any(|known| *known == what) {
        unused.push(what.into());
    }
}

fn role(place: usize, turn: &Map<String, Value>) -> Result<Role, String> {
    let name = ["role", "from"].into_iter().find_map(|name| Some((name, turn.get(name)?)));
    let (name, value) = name.ok_or_else(|| format!("turn {place} has no `role` and no `from`"))?;
    let value = super::text(name, value).map_err(|reason| format!("turn {place}: {reason}"))?;
    Ok(match value.as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "chatgpt" | "model" | "function_call" => Role::Assistant,
        "tool" | "function" | "observation" | "ipython" => Role::Tool,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!(
                "turn {place}: the role `{other}` is not known; known are system, user, assistant and tool"
            ));
        }
    })
}

/// The text of a turn. Of content in parts the texts are joined; another part, such as an image, has no text to take its
/// place.
fn said(content: &Value) -> Result<String, String> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => parts.iter().map(part).collect(),
        // A tool's result may be JSON.
        Value::Object(_) => Ok(content.to_string()),
        other => Err(format!("`content` is {}, not text or a list of parts", kind(other))),
    }
}

fn part(part: &Value) -> Result<String, String> {
    if let Value::String(text) = part {
        return Ok(text.clone());
    }
    let Value::Object(fields) = part else {
        return Err(format!("a part of `content` is {}, not text or an object", kind(part)));
    };
    match (fields.get("type").and_then(Value::as_str), fields.get("text")) {
        (None | Some("text" | "input_text" | "output_text"), Some(Value::String(text))) => Ok(text.clone()),
        (kind, _) => {
            let kind: String = kind.unwrap_or("no type").chars().take(40).collect();
            Err(format!("`content` has a part of the type `{kind}`; only parts of text can be used"))
        }
    }
}

fn has_calls(turn: &Map<String, Value>) -> bool {
    let is_there = |name: &str| match turn.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(calls)) => !calls.is_empty(),
        Some(_) => true,
    };
    is_there("tool_calls") || is_there("function_call")
}

fn calls(value: &Value) -> Result<Vec<ToolCall>, String> {
    match value {
        Value::Array(values) => values.iter().map(call).collect(),
        // A column of text.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(value @ Value::Array(_)) => calls(&value),
            _ => Err("`tool_calls` is text and not a list in JSON".into()),
        },
        other => Err(format!("`tool_calls` is {}, not a list", kind(other))),
    }
}

fn call(value: &Value) -> Result<ToolCall, String> {
    serde_json::from_value(value.clone())
        .map_err(|_| "a call of a tool has no `name` and `arguments`, nor a `function` with them".into())
}

/// The turns as a row has them; `None` where the names have no place for something.
pub(super) fn write(style: Style, messages: &[Message]) -> Option<Value> {
    let turn = |message: &Message| match style {
        Style::OpenAi => Some(written(message)),
        Style::ShareGpt => share_gpt(message),
    };
    messages.iter().map(turn).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A turn with `role` and `content`.
pub(super) fn written(message: &Message) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

/// A turn with `from` and `value`.
fn share_gpt(message: &Message) -> Option<Value> {
    let from = match message.role {
        Role::System => "system",
        Role::User => "human",
        Role::Tool => "observation",
        Role::Assistant if message.tool_calls.is_empty() => "gpt",
        Role::Assistant => "function_call",
    };
    let value = match (&message.tool_calls[..], &message.reasoning_content) {
        ([], None) => message.content.clone(),
        ([], Some(thought)) => with_thought(thought, &message.content),
        ([call], None) if message.content.is_empty() => {
            json!({"name": call.name, "arguments": call.arguments}).to_string()
        }
        _ => return None,
    };
    Some(json!({"from": from, "value": value}))
}
