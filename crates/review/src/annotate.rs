//! From scored pairs to training examples, after the paper (arXiv 2412.15151): examples for fine-tuning, preference pairs,
//! and reviews to learn from.

mod pairs;
mod reviews;
mod settings;
mod tiers;

use std::fmt;

use lancer_backend::{Conversation, Seed};
use serde::{Deserialize, Serialize};

pub use settings::{AnnotateSettings, Bound, Earlier, PairRule, RejectedSide, SeedRule, SftFrom};

use crate::{Damage, Score};

/// A pair that may be trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What the pair is called in its run.
    pub key: String,
    /// Key of the seed it is or comes from.
    pub source: String,
    /// The turns before the response. Responses are compared where all of these are the same.
    pub chat: Conversation,
    /// The answer: the response without its thoughts.
    pub response: String,
    /// Its score; `None` where nothing is reviewed, and the pair counts as good enough.
    pub score: Option<Score>,
    /// Where it comes from.
    pub kind: Kind,
}

impl Candidate {
    /// Whether it is good enough to be learnt from.
    fn is_good(&self, settings: &AnnotateSettings) -> bool {
        self.score.is_none_or(|score| settings.sft_bound.is_reached(score.get(), settings.sft_threshold))
    }

    /// Whether both its texts are long enough to be learnt from.
    fn is_long_enough(&self, settings: &AnnotateSettings) -> bool {
        let is_long = |text: &str| settings.min_chars == 0 || text.chars().count() > settings.min_chars;
        is_long(&self.chat.user_text()) && is_long(&self.response)
    }
}

/// Where a pair comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The seed pool.
    Seed,
    /// A new prompt with one of the model's responses to it.
    NewPrompt,
    /// A seed's prompt with another response of the model.
    Worse(Worse),
}

/// How a response to a seed's prompt was made that is to be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// The model was asked to write a bad response.
    Written,
    /// The model was asked the prompt as it stands.
    Sampled,
}

/// What a rejected response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectedKind {
    /// Written badly on purpose.
    Written,
    /// The model's sample.
    Sampled,
    /// The chosen response, damaged; [`Damage::Mismatched`] is another prompt's response.
    Damaged(Damage),
}

impl fmt::Display for RejectedKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => formatter.write_str("written"),
            Self::Sampled => formatter.write_str("sampled"),
            Self::Damaged(damage) => damage.fmt(formatter),
        }
    }
}

/// An example for fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftAnnotation {
    /// The pair's key.
    pub key: String,
    /// Key of the seed it is or comes from.
    pub source: String,
    /// What the user wrote.
    pub prompt: String,
    /// The response.
    pub response: String,
    /// Its score, where it was reviewed.
    pub score: Option<Score>,
}

/// A preference pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairAnnotation {
    /// Made of the keys of both sides.
    pub key: String,
    /// Key of the seed the chosen side is or comes from.
    pub source: String,
    /// What the user wrote, before both sides.
    pub prompt: String,
    /// Key of the chosen side.
    pub chosen_key: String,
    /// The better response.
    pub chosen: String,
    /// Its score, where it was reviewed.
    pub chosen_score: Option<Score>,
    /// Key of the rejected side: that of a pair, or the chosen one's with the damage.
    pub rejected_key: String,
    /// The worse response.
    pub rejected: String,
    /// Its score; `None` for a damaged response, which is known to be bad without one, and where nothing is reviewed.
    pub rejected_score: Option<Score>,
    /// What the rejected response is.
    pub rejected_kind: RejectedKind,
}

/// A review to learn from: what [`Mode::Expected`](crate::Mode::Expected) asks, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewExample {
    /// Made of the reviewed pair's key.
    pub key: String,
    /// The reviewed pair's key.
    pub record: String,
    /// Key of the seed it is or comes from.
    pub source: String,
    /// The user's turn: the rubric and the pair.
    pub prompt: String,
    /// The model's turn, `score: N`.
    pub response: String,
}

/// What comes of a run's pairs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Annotations {
    /// For fine-tuning, in the order of the candidates.
    pub sft: Vec<SftAnnotation>,
    /// For preference training, in the order in which their prompts first appear.
    pub preference: Vec<PairAnnotation>,
    /// For fine-tuning too, so that the next model reviews better.
    pub review: Vec<ReviewExample>,
}

/// Makes training examples of pairs.
///
/// - **Fine-tuning**: seeds and new pairs that score at least `sft_threshold` (or above it, by `sft_bound`).
/// - **Preference pairs**: two responses to one prompt whose scores differ by at least `pair_gap`, the higher one chosen.
///   A seed's response is only ever the chosen side, and two of the model's own are compared with each other, since a model
///   rates its own words above a person's.
/// - **Damaged sides**: a seed that scores at least `sft_threshold` against another prompt's response, or its own damaged.
///   These need no generation. A mismatched response is of like length, so a pair says nothing of length; a first half
///   always loses, so such pairs also teach to write more.
/// - **Reviews to learn from**, spread over the scores there are.
///
/// Pairs without a score are from a recipe that reviews nothing: all are good enough to be learnt from, a seed's response is
/// preferred to the model's own (SPIN, arXiv 2401.01335), and the model's own are not compared.
///
/// `seed` decides how responses are damaged and which pairs become review examples.
pub fn annotate(candidates: &[Candidate], settings: &AnnotateSettings, seed: Seed) -> Annotations {
    let sft = candidates
        .iter()
        .filter(|pair| match pair.kind {
            Kind::Seed => settings.seeds == SeedRule::All || pair.is_good(settings),
            Kind::NewPrompt => pair.is_good(settings) && settings.sft_from == SftFrom::All,
            Kind::Worse(_) => false,
        })
        .filter(|pair| pair.is_long_enough(settings))
        .map(|pair| SftAnnotation {
            key: pair.key.clone(),
            source: pair.source.clone(),
            prompt: pair.chat.user_text().into_owned(),
            response: pair.response.clone(),
            score: pair.score,
        })
        .collect();
    Annotations {
        sft,
        preference: pairs::preference(candidates, settings, seed),
        review: reviews::examples(candidates, settings.review_examples, seed),
    }
}
