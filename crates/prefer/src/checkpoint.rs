//! Where a run's checkpoints lie.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::TrainingError;

/// A checkpoint of a run: the number of steps made and the folder in which the learner saved itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Steps made.
    pub step: u64,
    /// The learner's folder.
    pub folder: PathBuf,
}

const PREFIX: &str = "step-";

impl Checkpoint {
    /// The place of a checkpoint within a run's folder: `step-000120`.
    pub fn within(run: &Path, step: u64) -> Self {
        Self { step, folder: run.join(format!("{PREFIX}{step:06}")) }
    }

    /// The checkpoints in a run's folder, by step; none where the folder does not exist.
    pub fn all(run: &Path) -> Result<Vec<Self>, TrainingError> {
        let failed =
            |source| TrainingError::CheckpointFolder { action: "read", path: run.to_path_buf(), source };
        let entries = match fs::read_dir(run) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
            if let Some(step) = step {
                found.push(Self { step, folder: entry.path() });
            }
        }
        found.sort_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// The last checkpoint in a run's folder, to resume from; a checkpoint's folder is whole or absent.
    pub fn latest(run: &Path) -> Result<Option<Self>, TrainingError> {
        Ok(Self::all(run)?.pop())
    }

    /// Removes all but the last `keep` checkpoints in a run's folder.
    pub(crate) fn remove_old(run: &Path, keep: usize) -> Result<(), TrainingError> {
        let mut checkpoints = Self::all(run)?;
        checkpoints.truncate(checkpoints.len().saturating_sub(keep));
        for old in checkpoints {
            fs::remove_dir_all(&old.folder).map_err(|source| TrainingError::CheckpointFolder {
                action: "remove the old checkpoint",
                path: old.folder,
                source,
            })?;
        }
        Ok(())
    }
}

/// Whether a run saves checkpoints, and where it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointPolicy<'a> {
    /// Nothing is saved; an interrupted run is lost.
    None,
    /// Checkpoints are saved within this folder, and the run goes on from the last one in it. The folder belongs to
    /// this one run: its examples, settings and seed.
    Within(&'a Path),
}
