//! What is written from, and what of it.

use serde::{Deserialize, Serialize};

/// A pair of prompt and response from which new ones are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A name that no other source has. The random seeds of its samples are derived from it.
    pub key: String,
    /// The prompt.
    pub prompt: String,
    /// The response; may be empty where only the prompt is there yet.
    #[serde(default)]
    pub response: String,
}

/// What is written from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writing {
    /// A new prompt in the spirit of the source's.
    NewPrompt,
    /// A response to the source's prompt.
    Response,
    /// A response to the source's prompt that is meant to be worse than the source's: the rejected side of a pair.
    WorseResponse,
}

impl Writing {
    /// The name, as in settings and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewPrompt => "new_prompt",
            Self::Response => "response",
            Self::WorseResponse => "worse_response",
        }
    }
}

/// A source, and which of its samples are still to be written.
///
/// A sample's text depends on the source, on the examples and on the sample's number, not on which other samples are
/// written beside it. A run that was interrupted asks only for those that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What is written from.
    pub source: Source,
    /// Numbers of the samples to write, such as 0 to 3 for four.
    pub samples: Vec<usize>,
}

impl Job {
    /// The samples 0 to `count` - 1 of a source.
    pub fn new(source: Source, count: usize) -> Self {
        Self { source, samples: (0..count).collect() }
    }
}
