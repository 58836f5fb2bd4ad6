//! Placeholders in brackets, and a postscript.

use super::{Check, arguments::Arguments};
use crate::EvalError;

pub(crate) fn placeholders(arguments: &Arguments) -> Result<Check, EvalError> {
    let placeholder = arguments.constant(r"\[.*?\]")?;
    let least = arguments.number("num_placeholders")?;
    Ok(Box::new(move |response| placeholder.find_iter(response).count() >= least))
}

pub(crate) fn postscript(arguments: &Arguments) -> Result<Check, EvalError> {
    let marker = arguments.text("postscript_marker")?;
    let source = match marker.as_str() {
        "P.P.S" => r"\s*p\.\s?p\.\s?s.*$".to_owned(),
        "P.S." => r"\s*p\.\s?s\..*$".to_owned(),
        other => format!(r"\s*{}.*$", other.to_lowercase()),
    };
    let pattern = arguments.pattern("postscript_marker", &source)?;
    Ok(Box::new(move |response| pattern.is_match(&response.to_lowercase())))
}
