//! How a response begins and ends.

use super::{Check, arguments::Arguments};
use crate::EvalError;

pub(crate) fn end(arguments: &Arguments) -> Result<Check, EvalError> {
    let end = arguments.text("end_phrase")?.to_lowercase();
    Ok(Box::new(move |response| response.trim().trim_matches('"').to_lowercase().ends_with(&end)))
}

/// All of it stands between double quotation marks.
pub(crate) fn quotation() -> Check {
    Box::new(|response| {
        let response = response.trim();
        response.len() > 1 && response.starts_with('"') && response.ends_with('"')
    })
}
