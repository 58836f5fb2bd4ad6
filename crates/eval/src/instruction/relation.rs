//! How many of something there may be.

use serde::Deserialize;

/// How a count stands to the one that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Relation {
    #[serde(rename = "less than")]
    LessThan,
    #[serde(rename = "at least")]
    AtLeast,
}

impl Relation {
    pub(crate) fn holds(self, count: usize, named: usize) -> bool {
        match self {
            Self::LessThan => count < named,
            Self::AtLeast => count >= named,
        }
    }
}
