//! Responses: how they are asked for, and what counts as one.

use lancer_backend::answer_of;

use crate::{
    ResponseStyle, Source, Unusable,
    asked::Asked,
    marks::neutralise,
    words::{near_equal, repetitive},
};

/// The chat in which a response to `prompt`, the last turn of the source's user, is written.
pub(crate) fn ask(style: ResponseStyle, source: &Source, prompt: &str) -> Asked {
    let prompt = neutralise(prompt);
    Asked::turn(source.asking(match style {
        ResponseStyle::Short => format!("{}\n\nAnswer in a few short sentences.", prompt.trim_end()),
        ResponseStyle::Auto | ResponseStyle::Plain => prompt,
    }))
}

/// The answer in what the model wrote, without what it thought before.
pub(crate) fn read(text: &str, source: &Source) -> Result<String, Unusable> {
    let text = answer_of(text).trim();
    if text.is_empty() {
        Err(Unusable::Empty)
    } else if near_equal(text, source.prompt()) {
        Err(Unusable::Echo)
    } else if repetitive(text) {
        Err(Unusable::Repetitive)
    } else {
        Ok(text.to_owned())
    }
}
