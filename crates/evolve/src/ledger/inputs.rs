//! The files that a run reads, and the models that it has written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::{error::EvolveError, stage::Stage};

/// What a file is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Pairs to begin with.
    Seeds,
    /// A file of the model to begin with.
    Model,
    /// The description of an evaluation task.
    Task,
    /// The records of an evaluation task.
    TaskData,
}

impl InputKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Seeds, Self::Model, Self::Task, Self::TaskData];

    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::Model => "model",
            Self::Task => "task",
            Self::TaskData => "task_data",
        }
    }
}

/// A file that the run reads, as it was when the run first knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputRow {
    /// What it is to the run.
    pub kind: InputKind,
    /// What the recipe calls it: the path of the seeds, of the model or of the task file.
    pub owner: String,
    /// Its place among the files of its owner.
    pub place: usize,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The hash of its content.
    pub sha256: String,
}

impl Ledger {
    /// Adds a file, known from a stage on.
    pub(crate) fn add_input(&self, row: &InputRow, since: (u32, Stage)) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO input VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                row.kind.as_str(),
                &row.owner,
                row.place,
                row.path.to_string_lossy(),
                row.bytes,
                &row.sha256,
                since.0,
                since.1.as_str(),
            ),
        )
    }

    /// Forgets the files, where nothing has been made of them yet.
    pub(crate) fn forget_inputs(&self) -> Result<(), EvolveError> {
        self.write("DELETE FROM input", [])
    }

    /// The files that a run reads, of each owner in the order in which they are read.
    pub fn inputs(&self) -> Result<Vec<InputRow>, EvolveError> {
        let rows = self.rows(
            "SELECT kind, owner, place, path, bytes, sha256 FROM input ORDER BY kind, owner, place",
            [],
            |row| {
                let kind: String = row.get(0)?;
                Ok(InputKind::ALL.into_iter().find(|known| known.as_str() == kind).map(|kind| {
                    Ok::<_, rusqlite::Error>(InputRow {
                        kind,
                        owner: row.get(1)?,
                        place: row.get(2)?,
                        path: row.get::<_, String>(3)?.into(),
                        bytes: row.get(4)?,
                        sha256: row.get(5)?,
                    })
                }))
            },
        )?;
        let known: Result<Vec<_>, _> = rows.into_iter().flatten().collect();
        known.map_err(super::failed(self.path(), "read"))
    }

    /// Keeps the content of a model that a stage has written.
    pub(crate) fn set_model(&self, name: &str, sha256: &str, by: (u32, Stage)) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO model VALUES (?1, ?2, ?3, ?4)",
            (name, sha256, by.0, by.1.as_str()),
        )
    }

    /// The content of a model that the run has written, by its name within `models/`.
    pub fn model(&self, name: &str) -> Result<Option<String>, EvolveError> {
        self.value("SELECT sha256 FROM model WHERE name = ?1", [name])
    }

    /// The models that the run has written: each one's name within `models/`, its content and the iteration that wrote it.
    pub(crate) fn models(&self) -> Result<Vec<(String, String, u32)>, EvolveError> {
        self.rows("SELECT name, sha256, iteration FROM model ORDER BY iteration, name", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// The hash of a file that was in this state when it was hashed.
    pub(crate) fn hashed(&self, path: &Path, state: &str) -> Result<Option<String>, EvolveError> {
        self.value(
            "SELECT sha256 FROM hashed WHERE path = ?1 AND state = ?2",
            (path.to_string_lossy(), state),
        )
    }

    pub(crate) fn set_hashed(&self, path: &Path, state: &str, sha256: &str) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO hashed VALUES (?1, ?2, ?3)",
            (path.to_string_lossy(), state, sha256),
        )
    }
}
