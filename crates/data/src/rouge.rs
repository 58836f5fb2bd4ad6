//! ROUGE-L (Lin 2004, <https://aclanthology.org/W04-1013>), in the two definitions that Python packages have.

mod comparison;
mod google;
mod lcs;
mod porter;
mod pypi;
mod text;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

pub(crate) use comparison::Comparison;
pub(crate) use text::Texts;

use google::{Sentences, Words};
use text::Piece;

/// How a ROUGE-L score is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// PyPI `rouge` 1.0.1: sentences split at ".", the union of their longest common subsequences as sets of words,
    /// letters as they are. Where that package raises an error (a text without a sentence) or recurses too deep, the
    /// result here is 0 or what it would have been.
    Rouge,
    /// PyPI `rouge-score` 0.1.2, Google's, `rougeL` without stemming: lower case, words of ASCII letters and digits, the
    /// longest common subsequence of the whole texts.
    RougeScore,
    /// The same with its `use_stemmer`: words of more than three letters are stemmed.
    RougeScoreStemmed,
    /// Its `rougeLsum` without stemming: each line is a sentence, and of each sentence of the reference the union of its
    /// longest common subsequences with all sentences of the hypothesis counts, a word as often as both texts have it.
    RougeScoreSum,
    /// The same with stemming.
    RougeScoreSumStemmed,
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
        let texts = Texts::new(self, [hypothesis, reference]);
        let mut comparison = Comparison::new(self, texts.vocabulary());
        comparison.load(texts.get(0));
        comparison.score(texts.get(1), 1)
    }

    /// Splits a text into words and sentences.
    fn split(self, text: &str, found: impl FnMut(Piece<'_>)) {
        match self {
            Self::Rouge => pypi::split(text, found),
            Self::RougeScore => google::split(text, Sentences::One, Words::AsTheyAre, found),
            Self::RougeScoreStemmed => google::split(text, Sentences::One, Words::Stemmed, found),
            Self::RougeScoreSum => google::split(text, Sentences::Lines, Words::AsTheyAre, found),
            Self::RougeScoreSumStemmed => google::split(text, Sentences::Lines, Words::Stemmed, found),
        }
    }

    /// Whether a word that is there twice counts twice.
    pub(crate) fn counts_repeated_words(self) -> bool {
        self != Self::Rouge
    }

    /// The score of two texts of so many words with so many in common; of [`Definition::Rouge`], distinct ones.
    fn of_counts(self, common: usize, in_hypothesis: usize, in_reference: usize) -> RougeL {
        if in_hypothesis == 0 || in_reference == 0 {
            return RougeL::default();
        }
        let common = common as f64;
        let (precision, recall) = (common / in_hypothesis as f64, common / in_reference as f64);
        let f1 = match self {
            Self::Rouge => pypi::f1(precision, recall),
            Self::RougeScore | Self::RougeScoreStemmed | Self::RougeScoreSum | Self::RougeScoreSumStemmed => {
                google::f1(precision, recall)
            }
        };
        RougeL { recall, precision, f1 }
    }
}
