//! What a model is asked for one sample.

use lancer_backend::Prompt;

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
    /// The model's turn in a chat, after one turn of the person.
    pub(crate) fn turn(text: String) -> Self {
        Self { prompt: Prompt::user(text), opening: String::new(), stop: Vec::new() }
    }
}
