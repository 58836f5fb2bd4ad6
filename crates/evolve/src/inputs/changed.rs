//! What is wrong with a file that a run reads, and what the run has made of it.

use std::fmt;

use crate::{
    error::EvolveError,
    ledger::{InputKind, Ledger},
    stage::Stage,
};

/// How a file differs from what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its content is another.
    Content {
        /// The SHA-256 that it had.
        expected: String,
        /// The size that it had.
        expected_bytes: u64,
        /// The SHA-256 that it has.
        found: String,
        /// The size that it has.
        found_bytes: u64,
    },
    /// It is not there.
    Missing,
    /// It was not there.
    New,
    /// It is there, but what the recipe names does not lead to it any more.
    Unread,
    /// The files are read in another order.
    Order,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content { expected, expected_bytes, found, found_bytes } => {
                write!(f, "has changed: its SHA-256 was {} and is {}", short(expected), short(found))?;
                if expected_bytes != found_bytes {
                    write!(f, ", its size was {expected_bytes} bytes and is {found_bytes}")?;
                }
                Ok(())
            }
            Self::Missing => f.write_str("is missing"),
            Self::New => f.write_str("was not there when the run was started"),
            Self::Unread => f.write_str("is no longer among the files that are read"),
            Self::Order => f.write_str("has another place among the files that are read"),
        }
    }
}

/// The beginning of a hash, enough to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

impl Change {
    /// What makes the run go on.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Content { .. } | Self::Missing | Self::Unread | Self::Order => {
                "put it back to go on with the run"
            }
            Self::New => "take it away to go on with the run",
        }
    }
}

impl InputKind {
    /// What a file is to a run, for messages.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::Model => "the model",
            Self::Task => "an evaluation task",
            Self::TaskData => "data of an evaluation task",
        }
    }
}

/// The finished stages that have read files of a kind, in words.
pub(super) fn used_by(ledger: &Ledger, kind: InputKind) -> Result<String, EvolveError> {
    let mut used = Vec::new();
    for iteration in 0.. {
        let finished: Vec<Stage> = Stage::of(iteration)
            .iter()
            .copied()
            .filter_map(|stage| match ledger.is_finished(iteration, stage) {
                Ok(is_finished) => is_finished.then_some(Ok(stage)),
                Err(error) => Some(Err(error)),
            })
            .collect::<Result<_, _>>()?;
        if finished.is_empty() && iteration > 0 {
            break;
        }
        let reads = |stage: Stage| match kind {
            InputKind::Seeds => stage == Stage::Import,
            InputKind::Model => iteration == 0 || ledger.start(iteration).is_ok_and(|start| start == 0),
            InputKind::Task | InputKind::TaskData => {
                matches!(stage, Stage::Import | Stage::Clean | Stage::Evaluate)
            }
        };
        for stage in finished.into_iter().filter(|&stage| reads(stage)) {
            used.push(if iteration == 0 {
                stage.to_string()
            } else {
                format!("{stage} of iteration {iteration}")
            });
        }
    }
    Ok(match &used[..] {
        [] => "no finished stage has used it".into(),
        [one] => format!("one stage has used it: {one}"),
        many => format!("{} stages have used it: {}", many.len(), many.join(", ")),
    })
}
