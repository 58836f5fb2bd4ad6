//! How a life ended.

use std::fmt;

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The run is finished.
    Finished,
    /// It was asked to stop, and stopped.
    Interrupted,
    /// It ended with an error, whose text this is.
    Failed(String),
    /// It panicked, and said this.
    Panicked(String),
    /// A signal ended it.
    Killed(i32),
    /// It did not come to an end.
    Hung,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("it finished the run"),
            Self::Interrupted => f.write_str("it stopped when asked"),
            Self::Failed(text) => write!(f, "it failed: {}", text.trim().replace('\n', " / ")),
            Self::Panicked(text) => write!(f, "it panicked: {}", text.trim().replace('\n', " / ")),
            Self::Killed(signal) => write!(f, "signal {signal} ended it"),
            Self::Hung => f.write_str("it did not end"),
        }
    }
}
