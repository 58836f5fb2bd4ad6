//! Prompts: text, chat messages or tokens.

use lancer_core::{Conversation, Message};
use serde::{Deserialize, Serialize};

/// A token's number in its model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u32);

/// What a model continues.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Prompt {
    /// A chat, with the tools that are offered in it. The engine renders them with the model's chat template, opens the model's turn after them, and
    /// tokenises the result with special tokens recognised. Text inside the messages that looks like a special
    /// token is the caller's to escape, see [`break_special_tokens`](crate::break_special_tokens).
    Chat(Conversation),
    /// Plain text, tokenised as it is, after the beginning-of-text token where the model's tokenizer adds one.
    Text(String),
    /// Tokens, taken as they are.
    Tokens(Vec<TokenId>),
}

impl Prompt {
    /// A chat of one user turn.
    pub fn user(content: impl Into<String>) -> Self {
        Self::chat(vec![Message::user(content)])
    }

    /// A chat.
    pub fn chat(chat: impl Into<Conversation>) -> Self {
        Self::Chat(chat.into())
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Chat(chat) => chat.messages.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Tokens(tokens) => tokens.is_empty(),
        }
    }

    /// The first token of a token prompt that a vocabulary of this size does not have.
    pub fn token_outside(&self, vocabulary: usize) -> Option<TokenId> {
        match self {
            Self::Tokens(tokens) => tokens.iter().copied().find(|token| token.0 as usize >= vocabulary),
            Self::Chat(_) | Self::Text(_) => None,
        }
    }
}
