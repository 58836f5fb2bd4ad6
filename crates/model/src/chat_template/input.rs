//! What a chat template is given.

use lancer_core::{Message, Role};
use serde::Serialize;
use serde_json::{Map, Value};

/// Whether the model's turn is opened after the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationPrompt {
    /// Opened, for the model to write.
    Open,
    /// Opened for an answer: where the template opens a thought with the turn, the thought is closed again, empty.
    Answer,
    /// Not opened.
    None,
}

/// A chat, and what else a template may ask for.
#[derive(Debug, Clone, Copy)]
pub struct ChatInput<'a> {
    /// The turns.
    pub messages: &'a [Message],
    /// Tools that are offered to the model, as JSON schemas.
    pub tools: &'a [Value],
    /// Documents to answer from, objects with `title` and `text`.
    pub documents: &'a [Value],
    /// The template's own variables, such as Qwen3's `enable_thinking`.
    pub variables: Option<&'a Map<String, Value>>,
    /// Whether the model's turn is opened.
    pub generation: GenerationPrompt,
}

impl<'a> ChatInput<'a> {
    /// A chat without tools, documents and variables.
    pub fn new(messages: &'a [Message], generation: GenerationPrompt) -> Self {
        Self { messages, tools: &[], documents: &[], variables: None, generation }
    }
}

/// A chat in the names that templates use.
#[derive(Serialize)]
pub(super) struct Context<'a> {
    messages: Vec<Turn<'a>>,
    /// `none` where nothing is offered, which templates ask for.
    tools: Option<&'a [Value]>,
    documents: Option<&'a [Value]>,
    add_generation_prompt: bool,
    bos_token: &'a str,
    eos_token: &'a str,
    #[serde(flatten)]
    variables: Option<&'a Map<String, Value>>,
}

/// A message, its reasoning under each of the names that templates know.
#[derive(Serialize)]
struct Turn<'a> {
    #[serde(flatten)]
    message: &'a Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
}

impl<'a> Context<'a> {
    pub(super) fn new(chat: &ChatInput<'a>, bos_token: &'a str, eos_token: &'a str) -> Self {
        let turn = |message: &'a Message| Turn { message, thinking: message.reasoning_content.as_deref() };
        let some = |values: &'a [Value]| (!values.is_empty()).then_some(values);
        Self {
            messages: chat.messages.iter().map(turn).collect(),
            tools: some(chat.tools),
            documents: some(chat.documents),
            add_generation_prompt: chat.generation != GenerationPrompt::None,
            bos_token,
            eos_token,
            variables: chat.variables,
        }
    }
}

/// The chat without its leading system turn, whose text goes before the first user turn's; `None` where it has not both.
pub(super) fn with_system_text_in_user_turn(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, rest) = messages.split_first().filter(|(first, _)| first.role == Role::System)?;
    let mut rest = rest.to_vec();
    let user = rest.iter_mut().find(|message| message.role == Role::User)?;
    user.content = format!("{}\n\n{}", system.content, user.content);
    Some(rest)
}
