//! How long a response is: its words, its paragraphs, and with what one of them begins.

use super::{Check, arguments::Arguments};
use crate::EvalError;

/// Words are runs of letters, digits and underscores.
pub(crate) fn words(arguments: &Arguments) -> Result<Check, EvalError> {
    let word = arguments.constant(r"\w+")?;
    let (named, relation) = (arguments.number("num_words")?, arguments.relation("relation")?);
    Ok(Box::new(move |response| relation.holds(word.find_iter(response).count(), named)))
}

/// Paragraphs stand between lines of three asterisks; one without text may only be the first or the last, and does not
/// count.
pub(crate) fn paragraphs(arguments: &Arguments) -> Result<Check, EvalError> {
    let divider = arguments.constant(r"\s?\*\*\*\s?")?;
    let named = arguments.number("num_paragraphs")?;
    Ok(Box::new(move |response| {
        let parts: Vec<bool> = divider.split(response).map(|part| !part.trim().is_empty()).collect();
        let inner = parts.get(1..parts.len() - 1).unwrap_or_default();
        inner.iter().all(|has_text| *has_text) && parts.iter().filter(|has_text| **has_text).count() == named
    }))
}

/// Here paragraphs stand between empty lines.
pub(crate) fn first_word_of_paragraph(arguments: &Arguments) -> Result<Check, EvalError> {
    let (named, place) = (arguments.number("num_paragraphs")?, arguments.number("nth_paragraph")?);
    if place > named {
        return Err(arguments.error("nth_paragraph", "names a paragraph beyond the last"));
    }
    let expected = arguments.text("first_word")?.to_lowercase();
    Ok(Box::new(move |response| {
        let parts: Vec<&str> = response.split("\n\n").collect();
        let count = parts.iter().filter(|part| !part.trim().is_empty()).count();
        let Some(word) = parts.get(place - 1).and_then(|part| part.split_whitespace().next()) else {
            return false;
        };
        let word = word.trim_start_matches('\'').trim_start_matches('"');
        let word = word.split(['.', ',', '?', '!', '\'', '"']).next().unwrap_or_default();
        place <= count && count == named && word.to_lowercase() == expected
    }))
}
