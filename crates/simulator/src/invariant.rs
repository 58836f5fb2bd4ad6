//! What must hold, whatever happens.

use std::fmt;

/// What must hold after every life, and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// A life ends as its trouble makes it, and finishes the run where the trouble is none to a careful program.
    EndsAsItMust,
    /// An error says what could not be done with which file, or which engine failed at what.
    SaysWhat,
    /// A row that was in the ledger is there after the next life, unchanged.
    NothingLost,
    /// What is in the ledger or in a checkpoint is not computed again.
    NothingTwice,
    /// A life without trouble finishes the run, or says exactly what to do.
    GoesOn,
    /// Every row is the uninterrupted run's, those of time apart.
    SameRows,
    /// Every file of models and exports is the uninterrupted run's.
    SameFiles,
    /// No file is left over.
    NothingLeft,
    /// A changed input, or a file that is damaged or gone, is noticed, or does no harm.
    NoticesChange,
    /// Of two processes on a run, the second says so and changes nothing.
    OneProcess,
    /// `SQLite` finds the ledger whole.
    LedgerWhole,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsAsItMust => "a life ended as it must not",
            Self::SaysWhat => "an error does not say what and where",
            Self::NothingLost => "what was finished is lost",
            Self::NothingTwice => "what was finished is done again",
            Self::GoesOn => "a start neither goes on nor says what to do",
            Self::SameRows => "the rows are not the uninterrupted run's",
            Self::SameFiles => "the files are not the uninterrupted run's",
            Self::NothingLeft => "a file is left over",
            Self::NoticesChange => "a change is not noticed",
            Self::OneProcess => "two processes work on one run",
            Self::LedgerWhole => "the ledger is broken",
        })
    }
}

/// What is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}
