//! What can go wrong in training.

use std::{fmt::Display, io, path::PathBuf};

use lancer_backend::LearnerError;

use crate::{
    record::{SkipReason, Skipped},
    set_aside::SetAsideReason,
};

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
    #[error("there is nothing to train on: of {given} examples, {}", why_skipped(.skipped))]
    NoExamples {
        /// Number of examples given.
        given: usize,
        /// The examples that were skipped.
        skipped: Vec<Skipped>,
    },
    /// All examples were set aside before a step was made.
    #[error(
        "no step could be made: all {count} examples are set aside, the first, {key:?}, since {reason}. The model that is trained may be damaged: look at what it writes"
    )]
    AllSetAside {
        /// How many there are.
        count: usize,
        /// The first one's key.
        key: String,
        /// Why it is set aside.
        reason: SetAsideReason,
    },
    /// The weights have gone where no loss is finite.
    #[error(
        "the training has diverged: after {step} steps the loss of no example is finite, also of examples that were not in the last step. Train with a lower learning rate (`optimizer.learning_rate`), a longer warm-up (`schedule.warmup_ratio`) or a smaller `optimizer.max_gradient_norm`; with other settings it is another training, which needs another folder for checkpoints"
    )]
    Diverged {
        /// Steps made.
        step: u64,
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
    /// The folder for checkpoints belongs to another training.
    #[error(
        "{path} holds checkpoints of another training, which differs in: {differences}. Nothing was changed there. Give another folder for this training, or remove that one to give its training up"
    )]
    OtherTraining {
        /// The folder.
        path: PathBuf,
        /// Each part that differs, as it is there and as it is now.
        differences: String,
    },
    /// Another process trains in the folder for checkpoints.
    #[error(
        "another process trains with the checkpoints in {path}; wait until it has ended, or give another folder"
    )]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The checkpoint to resume from has more steps than the training.
    #[error(
        "cannot resume from step {step}: the training has {steps} steps; give another folder for checkpoints"
    )]
    Resume {
        /// The checkpoint's step.
        step: u64,
        /// The number of steps of the run.
        steps: u64,
    },
    /// A resumed preference training lacks a reference log-probability, which the trained model can no longer give.
    #[error(
        "the reference log-probabilities of the pair {key:?} are missing or damaged, and the trained model cannot give them; resume with those that were stored, or remove the checkpoints and start again"
    )]
    NoReference {
        /// The pair's key.
        key: String,
    },
    /// The folder of checkpoints, or something in it, could not be read or written.
    #[error("cannot {action} {path}")]
    CheckpointFolder {
        /// What was tried.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
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

/// How many examples were skipped for which reason, and what to do about the most frequent one.
fn why_skipped(skipped: &[Skipped]) -> String {
    let Some(first) = skipped.first() else { return "none is left".into() };
    let count = |is: fn(&SkipReason) -> bool| skipped.iter().filter(|one| is(&one.reason)).count();
    let too_long = count(|reason| matches!(reason, SkipReason::TooLong { .. }));
    let prompts = count(|reason| matches!(reason, SkipReason::PromptTooLong { .. }));
    let same = count(|reason| matches!(reason, SkipReason::SameSides));
    let refused = count(|reason| matches!(reason, SkipReason::Refused { .. }));
    let unweighted = count(|reason| matches!(reason, SkipReason::NoWeight));
    let counted: Vec<String> = [
        (too_long, "are too long"),
        (prompts, "have prompts that are too long"),
        (same, "have two sides that are the same"),
        (refused, "are refused by the model's chat template"),
        (unweighted, "have the weight 0"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let advice = match too_long + prompts {
        0 => "",
        _ => {
            ". Allow longer ones with `train.max_length`, up to the model's context, or cut responses with `train.long_examples = \"truncate\"`"
        }
    };
    format!("{} (the first, {:?}: {}){advice}", counted.join(", "), first.key, first.reason)
}
