//! Responses: how they are asked for, and what counts as one.

use lancer_backend::Prompt;

use crate::{
    Source, Unusable,
    special_tokens::neutralise,
    words::{near_equal, repetitive},
};

/// The chat in which a response to the source's prompt is written.
pub(crate) fn ask(source: &Source) -> Prompt {
    Prompt::user(neutralise(&source.prompt))
}

/// The response in what the model wrote.
pub(crate) fn read(text: &str, source: &Source) -> Result<String, Unusable> {
    let text = text.trim();
    if text.is_empty() {
        Err(Unusable::Empty)
    } else if near_equal(text, &source.prompt) {
        Err(Unusable::Echo)
    } else if repetitive(text) {
        Err(Unusable::Repetitive)
    } else {
        Ok(text.to_owned())
    }
}
