//! `lancer check`: whether a run's ledger and files are what a run leaves.
//!
//! Each check is a file in `check/` and proves one promise, over one state of the ledger, also while a run writes it. Nothing is
//! changed.

mod counts;
mod files;
mod keys;
mod pages;
mod parents;
mod rules;
mod save;
mod seals;
mod stages;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::save::{Saved, SavedTable, save};
use crate::{
    error::EvolveError,
    ledger::{Ledger, UNSEALED, Use, VERSION, expected_tables},
    run::Run,
};

/// What a check of a run has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The run's folder.
    pub run: PathBuf,
    /// The version of the ledger's tables.
    pub version: i64,
    /// Rows of all tables of what the run made.
    pub rows: u64,
    /// Stages that are finished.
    pub finished: usize,
    /// Whether a process is working on the run.
    pub in_use: bool,
    /// Each promise, and what breaks it.
    pub checks: Vec<Check>,
}

/// A promise, and what breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which promise.
    pub promise: Promise,
    /// On how many things it was tested.
    pub tested: u64,
    /// What breaks it.
    pub broken: Vec<String>,
    /// What a person may want to know, though nothing is wrong.
    pub notes: Vec<String>,
}

/// What a run promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// The file can be read, page by page.
    Pages,
    /// What caused a row is there.
    Parents,
    /// A row's key and texts come from what caused it.
    Keys,
    /// Samples, records, verdicts, reviews and tokens are as many as each other.
    Counts,
    /// Stages are finished in their order, with nothing missing.
    Stages,
    /// The rows of finished stages are what they were.
    Checksums,
    /// Models and exports are there, models and inputs are what they were, and nothing is left of interrupted work.
    Files,
}

impl Promise {
    /// Its name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Parents => "parents",
            Self::Keys => "keys",
            Self::Counts => "counts",
            Self::Stages => "stages",
            Self::Checksums => "checksums",
            Self::Files => "files",
        }
    }

    /// What is tested, for people.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Pages => "pages of the file",
            Self::Parents => "rows have what caused them",
            Self::Keys => "rows derive from what caused them",
            Self::Counts => "stages agree with each other",
            Self::Stages => "stages are finished in order, with nothing missing",
            Self::Checksums => "stages have the rows that they had when they were finished",
            Self::Files => "models, exports and inputs are there, and are what they were",
        }
    }

    /// What to do where it is broken.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Pages => {
                "The file is damaged. Put an older copy of the run's folder back; or write what can be read to another folder \
                 with --save, and begin a new run."
            }
            Self::Parents | Self::Keys | Self::Counts | Self::Checksums => {
                "Rows were lost or changed, by another program or by the disk. Put an older copy of the run's folder back; \
                 nothing that is finished is made again. Without a copy, write the rows to another folder with --save and begin \
                 a new run."
            }
            Self::Stages => {
                "A stage that is marked as finished is not made again. Put an older copy of the run's folder back, or begin a \
                 new run."
            }
            Self::Files => {
                "Put the files back from a copy. A run goes on from its latest model; it cannot make an older one again."
            }
        }
    }
}

impl Check {
    fn new(promise: Promise) -> Self {
        Self { promise, tested: 0, broken: Vec::new(), notes: Vec::new() }
    }
}

impl Checked {
    fn new(run: &Path, in_use: bool) -> Self {
        Self { run: run.into(), version: VERSION, rows: 0, finished: 0, in_use, checks: Vec::new() }
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.broken.is_empty())
    }
}

/// Checks a run. Where its pages are damaged nothing else is looked at.
///
/// # Errors
/// Where there is no ledger, [`EvolveError::LedgerVersion`] where it is a newer one, and where a query fails.
pub fn check(run: &Path) -> Result<Checked, EvolveError> {
    let path = run.join(Run::LEDGER);
    // Before the ledger is read: where a run begins meanwhile, what it has not finished is no leftover.
    let in_use = Ledger::in_use(&path) == Use::Written;
    let ledger = match Ledger::read(&path) {
        Err(EvolveError::LedgerDamaged { found, advice, .. }) => {
            return Ok(Checked {
                checks: vec![Check {
                    broken: vec![format!("{found}. {advice}")],
                    ..Check::new(Promise::Pages)
                }],
                ..Checked::new(run, in_use)
            });
        }
        read => read?,
    };
    ledger.at_one_time(|| {
        let pages = pages::check(&ledger, &path)?;
        let mut checked = Checked::new(run, in_use);
        let can_be_read = pages.broken.is_empty();
        checked.checks.push(pages);
        if can_be_read {
            checked.rows = count_rows(&ledger)?;
            checked.finished = ledger.sealed()?.len();
            checked.checks.extend([
                parents::check(&ledger)?,
                keys::check(&ledger)?,
                counts::check(&ledger)?,
                stages::check(&ledger)?,
                seals::check(&ledger)?,
                files::check(&ledger, run, in_use)?,
            ]);
        }
        Ok(checked)
    })
}

/// Rows of all tables but those about the run itself.
fn count_rows(ledger: &Ledger) -> Result<u64, EvolveError> {
    let tables = ledger.query(|_| expected_tables())?;
    let mut rows = 0;
    for table in tables.keys().filter(|table| !UNSEALED.contains(&table.as_str())) {
        rows += ledger.value::<u64>(&format!("SELECT count(*) FROM {table}"), [])?.unwrap_or(0);
    }
    Ok(rows)
}
