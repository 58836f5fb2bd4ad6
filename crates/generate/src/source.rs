//! What is written from, and what of it.

use lancer_backend::{Conversation, Message, Role};
use serde::{Deserialize, Serialize};

use crate::marks::neutralise;

/// A prompt and the response to it, from which new ones are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A name that no other source has. The random seeds of its samples are derived from it.
    pub key: String,
    /// The turns before the response, with the tools that are offered. The system prompt is kept: what is new is written
    /// under the same one.
    pub chat: Conversation,
    /// The answer; may be empty where only the prompt is there yet.
    #[serde(default)]
    pub response: String,
}

impl Source {
    /// One turn of the user and the answer to it.
    pub fn of_pair(key: impl Into<String>, prompt: impl Into<String>, response: impl Into<String>) -> Self {
        let chat = vec![Message::user(prompt)].into();
        Self { key: key.into(), chat, response: response.into() }
    }

    /// A conversation and the answer with which it ends, without what the model thought.
    pub fn of_conversation(key: impl Into<String>, conversation: &Conversation) -> Self {
        let response = conversation.answer().into_owned();
        Self { key: key.into(), chat: conversation.without_response(), response }
    }

    /// The chat that begins with this prompt under the source's system prompt and with its tools.
    pub fn begun_with(&self, prompt: impl Into<String>) -> Conversation {
        let system = self.chat.messages.first().filter(|first| first.role == Role::System);
        let messages = system.cloned().into_iter().chain([Message::user(prompt)]).collect();
        Conversation { messages, tools: self.chat.tools.clone() }
    }

    /// The turn with which the user begins, which speaks for itself.
    pub(crate) fn opening(&self) -> &str {
        let user = self.chat.messages.iter().find(|message| message.role == Role::User);
        user.map_or("", |message| message.content.as_str())
    }

    /// The user's last turn, which the response answers.
    pub(crate) fn prompt(&self) -> &str {
        let user = self.chat.messages.iter().rev().find(|message| message.role == Role::User);
        user.map_or("", |message| message.content.as_str())
    }

    /// The chat with another text in the user's last turn.
    pub(crate) fn asking(&self, prompt: String) -> Conversation {
        let mut chat = self.chat.clone();
        for message in &mut chat.messages {
            message.content = neutralise(&message.content);
        }
        if let Some(user) = chat.messages.iter_mut().rev().find(|message| message.role == Role::User) {
            user.content = prompt;
        }
        chat
    }
}

/// What is written from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writing {
    /// A new prompt in the spirit of the source's.
    NewPrompt,
    /// A response to the source's prompt.
    Response,
    /// A response to the source's prompt that is meant to be worse than the source's: the rejected side of a pair.
    WorseResponse,
}

impl Writing {
    /// The name, as in settings and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewPrompt => "new_prompt",
            Self::Response => "response",
            Self::WorseResponse => "worse_response",
        }
    }
}

/// A source, and which of its samples are still to be written.
///
/// A sample's text depends on the source, on the examples and on the sample's number, not on which other samples are
/// written beside it. A run that was interrupted asks only for those that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What is written from.
    pub source: Source,
    /// Numbers of the samples to write, such as 0 to 3 for four.
    pub samples: Vec<usize>,
}

impl Job {
    /// The samples 0 to `count` - 1 of a source.
    pub fn new(source: Source, count: usize) -> Self {
        Self { source, samples: (0..count).collect() }
    }
}
