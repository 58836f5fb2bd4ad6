//! The form of a response: bullets, highlights, sections, a title, JSON, one of three answers.

use serde::de::IgnoredAny;

use super::{Check, arguments::Arguments};
use crate::EvalError;

const ANSWERS: [&str; 3] = ["My answer is yes.", "My answer is no.", "My answer is maybe."];

/// So many bullets of Markdown, neither more nor fewer.
pub(crate) fn bullets(arguments: &Arguments) -> Result<Check, EvalError> {
    let asterisk = arguments.constant(r"(?m)^\s*\*[^\*].*$")?;
    let dash = arguments.constant(r"(?m)^\s*-.*$")?;
    let named = arguments.number("num_bullets")?;
    Ok(Box::new(move |response| {
        asterisk.find_iter(response).count() + dash.find_iter(response).count() == named
    }))
}

pub(crate) fn constrained_response() -> Check {
    Box::new(|response| ANSWERS.iter().any(|answer| response.contains(answer)))
}

/// Parts between asterisks, and again those between two.
pub(crate) fn highlights(arguments: &Arguments) -> Result<Check, EvalError> {
    let single = arguments.constant(r"\*[^\n\*]*\*")?;
    let double = arguments.constant(r"\*\*[^\n\*]*\*\*")?;
    let least = arguments.number("num_highlights")?;
    Ok(Box::new(move |response| {
        let has_text = |found: &regex::Match| !found.as_str().trim_matches('*').trim().is_empty();
        let single = single.find_iter(response).filter(has_text).count();
        single + double.find_iter(response).filter(has_text).count() >= least
    }))
}

/// At least so many headings such as `Section 1`.
pub(crate) fn sections(arguments: &Arguments) -> Result<Check, EvalError> {
    let name = arguments.text("section_spliter")?;
    // Here capital and small letters differ.
    let heading = arguments.pattern("section_spliter", &format!(r"(?-i)\s?{name}\s?\d+\s?"))?;
    let least = arguments.number("num_sections")?;
    Ok(Box::new(move |response| heading.find_iter(response).count() >= least))
}

/// All of it is JSON, which may stand in a fence of Markdown.
pub(crate) fn json() -> Check {
    Box::new(|response| {
        let mut text = response.trim();
        for fence in ["```json", "```Json", "```JSON", "```"] {
            text = text.strip_prefix(fence).unwrap_or(text);
        }
        let text = text.strip_suffix("```").unwrap_or(text).trim();
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    })
}

/// Somewhere a title in double angle brackets.
pub(crate) fn title(arguments: &Arguments) -> Result<Check, EvalError> {
    let title = arguments.constant(r"<<[^\n]+>>")?;
    Ok(Box::new(move |response| {
        title.find_iter(response).any(|found| {
            let text = found.as_str().trim_start_matches('<').trim_end_matches('>');
            !text.trim().is_empty()
        })
    }))
}
