//! What can go wrong in a review.

use lancer_backend::BackendError;

/// A value that is no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{value} is no score: a score is from 0 to 10")]
pub struct ScoreOutOfRange {
    /// The value.
    pub value: f64,
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; it must be {range}")]
pub struct SettingError {
    /// The setting's name, as in a configuration file.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

pub(crate) fn require(
    holds: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    range: &'static str,
) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError { field, value: value.to_string(), range }) }
}

/// An error of [`review`](crate::review) or [`calibrate`](crate::calibrate).
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The engine failed. A review that was given to the sink before is valid.
    #[error("the engine failed during the {mode} review")]
    Backend {
        /// The mode of the review.
        mode: crate::Mode,
        /// What the engine said.
        source: BackendError,
    },
    /// The sink ended the call. A review that was given to the sink before is valid.
    #[error("cancelled")]
    Cancelled,
    /// A setting is outside its range.
    #[error("review settings")]
    Setting(#[from] SettingError),
    /// There are too few seeds to calibrate a review on.
    #[error(
        "{usable} seeds can be used to calibrate the review, at least {needed} are needed; add seeds with a prompt and a response that fit into the model's context, or set mode to rubric or expected"
    )]
    TooFewSeeds {
        /// Seeds that have a prompt and a response and fit into the context.
        usable: usize,
        /// Seeds needed.
        needed: usize,
    },
}

impl ReviewError {
    /// For `map_err`: what the engine said during a review of this mode.
    pub(crate) fn backend(mode: crate::Mode) -> impl Fn(BackendError) -> Self {
        move |source| match source {
            BackendError::Cancelled => Self::Cancelled,
            source => Self::Backend { mode, source },
        }
    }
}
