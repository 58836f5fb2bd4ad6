//! What is trained on.

use lancer_backend::Message;
use serde::{Deserialize, Serialize};

/// An example for supervised fine-tuning: a response to be made more probable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftExample {
    /// Names the example in reports and errors; unique within a data set.
    pub key: String,
    /// The chat so far.
    pub prompt: Vec<Message>,
    /// The model's turn.
    pub response: String,
    /// How much it counts against the others; at least 0. With 0 it is skipped.
    #[serde(default = "full_weight")]
    pub weight: f64,
}

/// An example for preference training: a response to be preferred to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceExample {
    /// Names the pair in reports, errors and the store of reference log-probabilities; unique within a data set.
    pub key: String,
    /// The chat so far.
    pub prompt: Vec<Message>,
    /// The model's turn that is preferred.
    pub chosen: String,
    /// The other.
    pub rejected: String,
}

/// The examples of a run and those it is measured on. Their keys do not overlap.
#[derive(Debug)]
pub struct Split<'a, Example> {
    /// Trained on.
    pub train: &'a [Example],
    /// Held out; may be empty.
    pub held_out: &'a [Example],
}

impl<Example> Clone for Split<'_, Example> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Example> Copy for Split<'_, Example> {}

impl<'a, Example> Split<'a, Example> {
    /// Nothing held out.
    pub fn train_only(train: &'a [Example]) -> Self {
        Self { train, held_out: &[] }
    }
}

fn full_weight() -> f64 {
    1.0
}
