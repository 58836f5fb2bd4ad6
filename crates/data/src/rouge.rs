//! ROUGE-L (Lin 2004, <https://aclanthology.org/W04-1013>), in the two definitions that Python packages have.

mod google;
mod lcs;
mod pypi;

use serde::{Deserialize, Serialize};

/// How a ROUGE-L score is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// PyPI `rouge` 1.0.1: sentences split at ".", the union of their longest common subsequences as sets of words,
    /// letters as they are. Where that package raises an error (a text without a sentence) or recurses too deep, the
    /// result here is 0 or what it would have been.
    Rouge,
    /// PyPI `rouge-score` 0.1.2, Google's, `rougeL` without stemming: lower case, words of ASCII letters and digits, the
    /// longest common subsequence of the whole texts.
    RougeScore,
}

/// A ROUGE-L score; each part is between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RougeL {
    /// The part of the reference that is in the hypothesis.
    pub recall: f64,
    /// The part of the hypothesis that is in the reference.
    pub precision: f64,
    /// The harmonic mean of the two (in [`Definition::Rouge`] with 1e-8 added to the denominator).
    pub f1: f64,
}

impl Definition {
    /// The score of a hypothesis against a reference.
    pub fn score(self, hypothesis: &str, reference: &str) -> RougeL {
        match self {
            Self::Rouge => pypi::score(hypothesis, reference),
            Self::RougeScore => google::score(hypothesis, reference),
        }
    }

    /// The words that are compared, in their order.
    pub(crate) fn words(self, text: &str) -> Vec<String> {
        match self {
            Self::Rouge => pypi::sentences(text).concat(),
            Self::RougeScore => google::words(text),
        }
    }
}
