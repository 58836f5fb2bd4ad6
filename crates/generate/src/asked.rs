//! What a model is asked for one sample.

use lancer_backend::{Conversation, Prompt};

/// What a model is asked for one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What it reads.
    pub(crate) prompt: Prompt,
    /// The beginning of the text that stands in the prompt already and belongs to the sample.
    pub(crate) opening: String,
    /// What ends the sample.
    pub(crate) stop: Vec<String>,
}

impl Asked {
    /// The model's turn after a chat.
    pub(crate) fn turn(chat: impl Into<Conversation>) -> Self {
        Self { prompt: Prompt::chat(chat), opening: String::new(), stop: Vec::new() }
    }
}
