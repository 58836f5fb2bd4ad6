//! One turn of a chat.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::split_thought;

/// Who speaks in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions to the model that hold for the whole chat.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool, which answers a call that the model made.
    Tool,
}

impl Role {
    /// The name, as chat templates have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said: of an assistant's turn the answer, without its reasoning.
    #[serde(default)]
    pub content: String,
    /// What the model thought before its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The tools that an assistant's turn calls, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's turn answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The name of the tool or of the person who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A turn that is text alone.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            reasoning_content: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
        }
    }

    /// A turn of the person.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// A turn of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// Instructions for the whole chat.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// What a tool answers to the call with this id.
    pub fn tool(call: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(call.into()), ..Self::new(Role::Tool, content) }
    }

    /// Whether the turn is nothing but its text.
    pub fn is_text_alone(&self) -> bool {
        *self == Self::new(self.role, self.content.as_str())
    }

    /// What is said and called, without thoughts: the text, then a line of JSON for each call.
    pub fn said(&self) -> Cow<'_, str> {
        if self.tool_calls.is_empty() {
            return Cow::Borrowed(&self.content);
        }
        let calls = self
            .tool_calls
            .iter()
            .map(|call| json!({"name": call.name, "arguments": call.arguments}).to_string());
        let text = (!self.content.is_empty()).then(|| self.content.clone());
        Cow::Owned(text.into_iter().chain(calls).collect::<Vec<_>>().join("\n"))
    }

    /// The same turn with the thought in its text, if there is one, as its reasoning.
    #[must_use]
    pub fn with_thought_apart(mut self) -> Self {
        if let Some((thought, answer)) = split_thought(&self.content) {
            if !thought.is_empty() {
                self.reasoning_content.get_or_insert_with(|| thought.to_owned());
            }
            self.content = answer.to_owned();
        }
        self
    }

    /// The same turn with the reasoning that came before its answer.
    #[must_use]
    pub fn with_reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning_content = Some(reasoning.into());
        self
    }

    /// The same turn with a further call of a tool.
    #[must_use]
    pub fn with_call(mut self, call: ToolCall) -> Self {
        self.tool_calls.push(call);
        self
    }
}

/// A call of a tool, in JSON as `{"id": …, "type": "function", "function": {"name": …, "arguments": …}}`.
///
/// It is read in the flat form `{"name": …, "arguments": …}` too, and arguments that are JSON in a string are read as the
/// object that they describe: chat templates expect it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ToolCall {
    /// What the tool's answer refers to.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// The arguments, an object in nearly all cases.
    pub arguments: Value,
}

/// The forms in which a call is read.
#[derive(Deserialize)]
#[serde(untagged)]
enum ReadCall {
    Nested {
        #[serde(default)]
        id: Option<String>,
        function: ReadFunction,
    },
    Flat {
        #[serde(default)]
        id: Option<String>,
        #[serde(flatten)]
        function: ReadFunction,
    },
}

#[derive(Deserialize)]
struct ReadFunction {
    name: String,
    #[serde(default, alias = "parameters")]
    arguments: Value,
}

impl Serialize for ToolCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let function = json!({"name": self.name, "arguments": self.arguments});
        let call = match &self.id {
            Some(id) => json!({"id": id, "type": "function", "function": function}),
            None => json!({"type": "function", "function": function}),
        };
        call.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ToolCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ReadCall::Nested { id, function } | ReadCall::Flat { id, function }) =
            ReadCall::deserialize(deserializer)?;
        let arguments = match function.arguments {
            Value::String(text) => match serde_json::from_str::<Value>(&text) {
                Ok(described @ Value::Object(_)) => described,
                _ => Value::String(text),
            },
            Value::Null => json!({}),
            arguments => arguments,
        };
        Ok(Self { id, name: function.name, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_in_the_forms_that_the_field_writes() {
        let expected = ToolCall { id: None, name: "add".into(), arguments: json!({"a": 1}) };
        for text in [
            r#"{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}"#,
            r#"{"type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}}"#,
            r#"{"name": "add", "arguments": {"a": 1}}"#,
            r#"{"name": "add", "parameters": {"a": 1}}"#,
        ] {
            assert_eq!(serde_json::from_str::<ToolCall>(text).unwrap(), expected, "{text}");
        }
        let with_id: ToolCall =
            serde_json::from_str(r#"{"id": "c1", "function": {"name": "now", "arguments": "not JSON"}}"#)
                .unwrap();
        assert_eq!(with_id.id.as_deref(), Some("c1"));
        assert_eq!(with_id.arguments, json!("not JSON"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let call =
            ToolCall { id: Some("c1".into()), name: "add".into(), arguments: json!({"b": [2], "a": "é"}) };
        let message = Message::assistant("Let me see.").with_reasoning("A sum.").with_call(call);
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        assert_eq!(
            serde_json::to_string(&Message::user("Hello")).unwrap(),
            r#"{"role":"user","content":"Hello"}"#
        );
    }

    #[test]
    fn a_field_that_would_be_lost_is_refused() {
        let error =
            serde_json::from_str::<Message>(r#"{"role": "user", "content": "a", "weight": 0}"#).unwrap_err();
        assert!(error.to_string().contains("weight"), "{error}");
    }
}
