//! How results are printed.

use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// Prints a result: as JSON, or as `text` shows it.
    pub(crate) fn print<T: Serialize>(self, result: &T, text: impl FnOnce(&T)) {
        match self {
            Self::Text => text(result),
            // Results are structs of numbers, texts and lists, which JSON has.
            Self::Json => println!("{}", serde_json::to_string(result).unwrap_or_default()),
        }
    }
}
