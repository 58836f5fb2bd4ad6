//! What has been written, and where it goes.

use std::ops::ControlFlow;

use lancer_backend::Finish;
use serde::{Deserialize, Serialize};

/// A sample that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Index of its job in the call.
    pub job: usize,
    /// The sample's number, one of the job's `samples`.
    pub sample: usize,
    /// The text that is to be used, white space around it cut off; or why there is none.
    pub outcome: Result<String, Unusable>,
    /// What the model wrote, as it came; a new prompt with the word that it began with.
    pub raw: String,
    /// Number of tokens that were generated for it.
    pub tokens: usize,
    /// Why the model ended; [`Finish::ContextFull`] where it could not begin.
    pub finish: Finish,
}

impl Written {
    /// A sample for which nothing was generated.
    pub(crate) fn nothing(job: usize, sample: usize, unusable: Unusable) -> Self {
        let finish = Finish::ContextFull;
        Self { job, sample, outcome: Err(unusable), raw: String::new(), tokens: 0, finish }
    }
}

/// Why a sample cannot be used.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// Nothing was asked for: the source's prompt has no text.
    #[error("the source's prompt is empty")]
    EmptySource,
    /// What the model would have to read does not fit into its context. Nothing was generated.
    #[error(
        "the source does not fit into the model's context; shorten it or load the model with a longer one"
    )]
    SourceTooLong,
    /// The model's chat template refuses the source's turns. Nothing was generated.
    #[error("the model's chat template refuses the source")]
    Refused,
    /// The model wrote no text.
    #[error("nothing was written")]
    Empty,
    /// The sample was cut off, at its limit of tokens or where the context was full. Trained on, it would teach to stop
    /// anywhere.
    #[error("cut off at the limit of tokens")]
    Unfinished,
    /// It repeats what it was written from: a new prompt the source's or an example's, a response its prompt, a worse
    /// response the source's.
    #[error("repeats the text that it was written from")]
    Echo,
    /// The same words over and over.
    #[error("repeats itself")]
    Repetitive,
    /// A new prompt that is not one self-contained task: it announces text that does not come, or is only a heading.
    #[error("is not one self-contained task")]
    NotATask,
}

impl Unusable {
    /// The name, as in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptySource => "empty_source",
            Self::SourceTooLong => "source_too_long",
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Unfinished => "unfinished",
            Self::Echo => "echo",
            Self::Repetitive => "repetitive",
            Self::NotATask => "not_a_task",
        }
    }
}

/// Receives samples as they end.
pub trait WritingSink {
    /// A sample has ended. `Break` cancels what is still running.
    fn written(&mut self, written: Written) -> ControlFlow<()>;

    /// `tokens` more tokens, of prompts or of samples, were computed. `Break` cancels.
    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        let _ = tokens;
        ControlFlow::Continue(())
    }
}

/// Keeps every sample, in the order in which they end.
impl WritingSink for Vec<Written> {
    fn written(&mut self, written: Written) -> ControlFlow<()> {
        self.push(written);
        ControlFlow::Continue(())
    }
}
