//! What can go wrong in training.

use std::fmt::Display;

use lancer_backend::LearnerError;

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; it must be {range}")]
pub struct SettingError {
    /// The setting's name, as in the configuration.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

/// An error of a training run. What was trained and recorded until then stays valid.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A setting is outside its range.
    #[error("the training settings are not valid")]
    Setting(#[from] SettingError),
    /// No example is left to train on.
    #[error("there is nothing to train on: of {given} examples, {skipped} were skipped ({first_reason})")]
    NoExamples {
        /// Number of examples given.
        given: usize,
        /// Number of examples skipped.
        skipped: usize,
        /// Why the first of them was.
        first_reason: String,
    },
    /// Two examples have the same key, so that what is stored under it would be ambiguous.
    #[error("two training examples have the key {key:?}; give each its own")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// An example's weight is negative or not a number.
    #[error("the example {key:?} has the weight {weight}; it must be finite and at least 0")]
    InvalidWeight {
        /// The example's key.
        key: String,
        /// Its weight.
        weight: f64,
    },
    /// The learner could not encode an example.
    #[error("cannot encode the example {key:?}")]
    Encode {
        /// The example's key.
        key: String,
        /// Why.
        source: LearnerError,
    },
    /// The loss of an example is not finite. The step was not made.
    #[error(
        "the loss of the example {key:?} is {loss} at step {step}; lower the learning rate or look at that example"
    )]
    LossNotFinite {
        /// The step that would have been made.
        step: u64,
        /// The example's key.
        key: String,
        /// Its loss.
        loss: f64,
    },
    /// The learner gave log-probabilities in another shape than the batch it was given.
    #[error(
        "the learner gave {given} log-probabilities for the example {key:?}, which has {expected} target tokens"
    )]
    Shape {
        /// The example's key.
        key: String,
        /// How many there were.
        given: usize,
        /// How many there should have been.
        expected: usize,
    },
    /// The checkpoint to resume from is not one of this run.
    #[error(
        "cannot resume from step {step}: with these examples and settings the training has {steps} steps; resume with those that it was started with"
    )]
    Resume {
        /// The checkpoint's step.
        step: u64,
        /// The number of steps of the run.
        steps: u64,
    },
    /// A resumed preference training lacks a reference log-probability, which the trained model can no longer give.
    #[error(
        "the reference log-probabilities of the pair {key:?} are missing; resume with those that were stored, or remove the checkpoints and start again"
    )]
    NoReference {
        /// The pair's key.
        key: String,
    },
    /// An old checkpoint could not be removed or the folder of checkpoints could not be read.
    #[error("cannot {action} {path}")]
    CheckpointFolder {
        /// What was tried.
        action: &'static str,
        /// The folder.
        path: std::path::PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The learner failed.
    #[error("the learner failed while {action}")]
    Learner {
        /// What it was asked to do.
        action: String,
        /// What it said.
        source: LearnerError,
    },
}

impl TrainingError {
    /// For `map_err` on what a learner returns.
    pub(crate) fn learner(action: impl Into<String>) -> impl FnOnce(LearnerError) -> Self {
        let action = action.into();
        |source| Self::Learner { action, source }
    }
}

/// Checks one setting.
pub(crate) fn require(
    holds: bool,
    field: &'static str,
    value: impl Display,
    range: &'static str,
) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError { field, value: value.to_string(), range }) }
}
