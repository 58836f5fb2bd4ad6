//! Two responses, and the request repeated before the response.

use super::{Check, arguments::Arguments};
use crate::EvalError;

/// Two different responses with six asterisks between them.
pub(crate) fn two_responses() -> Check {
    Box::new(|response| {
        let parts: Vec<&str> = response.split("******").map(str::trim).collect();
        let inner = parts.get(1..parts.len() - 1).unwrap_or_default();
        let with_text: Vec<&&str> = parts.iter().filter(|part| !part.is_empty()).collect();
        !inner.contains(&"") && with_text.len() == 2 && with_text[0] != with_text[1]
    })
}

pub(crate) fn repeated_prompt(arguments: &Arguments) -> Result<Check, EvalError> {
    let prompt = arguments.text("prompt_to_repeat")?.to_lowercase();
    Ok(Box::new(move |response| response.trim().to_lowercase().starts_with(&prompt)))
}
