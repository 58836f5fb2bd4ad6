//! What became of an input.

use std::error::Error;

/// What became of an input: read, or refused with an error and its causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Read(String),
    Refused(String),
}

impl Outcome {
    /// An error with its causes, as `lancer` prints it.
    pub(crate) fn refused(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::Refused(text)
    }

    /// The outcome without what differs between inputs that take the same way: the words of its first line that are not
    /// quoted.
    pub(crate) fn kind(&self) -> String {
        let (first, text) = match self {
            Self::Read(text) => ("read ", text),
            Self::Refused(text) => ("refused ", text),
        };
        let mut kind = String::from(first);
        let mut is_quoted = false;
        for character in text.lines().next().unwrap_or_default().chars().take(200) {
            match character {
                '`' | '"' => is_quoted = !is_quoted,
                'a'..='z' | 'A'..='Z' | ' ' if !is_quoted => kind.push(character),
                _ => {}
            }
        }
        kind
    }
}
