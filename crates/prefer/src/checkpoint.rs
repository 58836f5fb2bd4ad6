//! Checkpoints of one training in a folder: whole or absent, bound to what they belong to, and recognised where they are
//! damaged.
//!
//! ```text
//! training.json          what the training is, see `description.rs`
//! training.lock          held by the process that trains
//! references.jsonl       log-probabilities under the reference, see `reference_file.rs`
//! step-000120/           a checkpoint
//!   checkpoint.json      its step, the training's hash, what was set aside, the hash of each of the learner's files
//!   learner/             what the learner saved
//! damaged-step-000130/   a checkpoint that could not be gone on from, kept for the user to look at
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use lancer_backend::Learner;
use serde::{Deserialize, Serialize};

use crate::{
    description::{Base, TrainingDescription},
    error::TrainingError,
    observer::TrainingObserver,
    sealed::{self, Sha256Hex},
    set_aside::SetAside,
};

/// Whether a run saves checkpoints, and where it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointPolicy<'a> {
    /// Nothing is saved; an interrupted run is lost.
    None,
    /// Checkpoints are saved within a folder, and the run goes on from the last one in it.
    Within {
        /// The folder. It belongs to one training: going on from another one's is an error.
        folder: &'a Path,
        /// What is trained.
        base: &'a Base,
    },
}

/// A checkpoint of a run: the number of steps made and the folder that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Steps made.
    pub step: u64,
    /// The folder.
    pub folder: PathBuf,
}

/// What a checkpoint holds beside the learner's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    pub(crate) step: u64,
    /// Whether the held-out examples have yet to be evaluated after this step.
    pub(crate) evaluation_is_due: bool,
    pub(crate) set_aside: Vec<SetAside>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// The hash of the training's description.
    training: Sha256Hex,
    progress: Progress,
    /// The hash of each of the learner's files, by its path.
    files: BTreeMap<String, Sha256Hex>,
}

const DESCRIPTION: &str = "training.json";
const LOCK: &str = "training.lock";
const MANIFEST: &str = "checkpoint.json";
const LEARNER: &str = "learner";
const PREFIX: &str = "step-";
const DAMAGED: &str = "damaged-";
const UNFINISHED: &str = "unfinished-";

/// The folder of one training, held by this process.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    training: Sha256Hex,
    _lock: File,
}

impl Checkpoints {
    /// Opens the folder of a training, made where it is absent.
    ///
    /// # Errors
    /// [`TrainingError::OtherTraining`] where it belongs to another training, of which something is there;
    /// [`TrainingError::FolderInUse`] where another process trains in it.
    pub(crate) fn open(folder: &Path, description: &TrainingDescription) -> Result<Self, TrainingError> {
        let failed = |action| move |source| failed(action, folder, source);
        fs::create_dir_all(folder).map_err(failed("make the folder"))?;
        let lock = File::create(folder.join(LOCK)).map_err(failed("write into"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TrainingError::FolderInUse { path: folder.into() });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let here = description.to_json();
        let opened = Self { folder: folder.into(), training: Sha256Hex::of(here.as_bytes()), _lock: lock };
        for unfinished in opened.named(UNFINISHED)? {
            fs::remove_dir_all(&unfinished).map_err(failed("remove an unfinished checkpoint from"))?;
        }
        let file = folder.join(DESCRIPTION);
        let known = sealed::read(&file);
        match known {
            Ok(there) if there == here => return Ok(opened),
            Ok(there) if opened.has_results()? => {
                return Err(
                    opened.other(&TrainingDescription::differences(&here, &there).unwrap_or_default())
                );
            }
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                return Err(failed("read")(error));
            }
            Err(_) if opened.has_results()? && !opened.is_confirmed()? => {
                return Err(opened.other(&[]));
            }
            // Nothing was kept yet, or a checkpoint says itself that it belongs to this training.
            _ => sealed::write(&file, &here).map_err(failed("write into"))?,
        }
        Ok(opened)
    }

    /// The file of a name in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The last checkpoint that is whole, and what it holds. Damaged ones that are newer get another name, and the observer
    /// hears of them.
    pub(crate) fn latest(
        &self,
        observer: &mut dyn TrainingObserver,
    ) -> Result<Option<(Checkpoint, Progress)>, TrainingError> {
        for checkpoint in self.all()?.into_iter().rev() {
            let reason = match read_manifest(&checkpoint) {
                Ok(manifest) if manifest.training != self.training => return Err(self.other(&[])),
                Ok(manifest) => match damage(&checkpoint, &manifest) {
                    None => return Ok(Some((checkpoint, manifest.progress))),
                    Some(reason) => reason,
                },
                Err(reason) => reason,
            };
            self.put_aside(&checkpoint)?;
            observer.damaged(&checkpoint, &reason);
        }
        Ok(None)
    }

    /// Takes a learner back to a checkpoint.
    pub(crate) fn load(checkpoint: &Checkpoint, learner: &mut dyn Learner) -> Result<(), TrainingError> {
        learner
            .load_checkpoint(&checkpoint.folder.join(LEARNER))
            .map_err(TrainingError::learner(format!("going back to step {}", checkpoint.step)))
    }

    /// Saves a checkpoint. It gets its name after the observer has stored all that was reported to it: who finds the checkpoint
    /// finds the rows. Gives `false` where the observer could not, and there is no checkpoint then.
    pub(crate) fn save(
        &self,
        learner: &dyn Learner,
        progress: &Progress,
        keep: usize,
        observer: &mut dyn TrainingObserver,
    ) -> Result<bool, TrainingError> {
        let failed = |source| failed("save a checkpoint in", &self.folder, source);
        let name = format!("{PREFIX}{:06}", progress.step);
        let unfinished = self.folder.join(format!("{UNFINISHED}{name}"));
        let checkpoint = Checkpoint { step: progress.step, folder: self.folder.join(name) };
        fs::create_dir(&unfinished).map_err(failed)?;
        learner
            .save_checkpoint(&unfinished.join(LEARNER))
            .map_err(TrainingError::learner(format!("saving the checkpoint of step {}", progress.step)))?;
        let files = hashes(&unfinished.join(LEARNER)).map_err(failed)?;
        let manifest = Manifest { training: self.training.clone(), progress: progress.clone(), files };
        sealed::write(&unfinished.join(MANIFEST), &sealed::json(&manifest)).map_err(failed)?;
        sealed::sync_folder(&unfinished).map_err(failed)?;
        if observer.saving(&checkpoint).is_break() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
            return Ok(false);
        }
        if checkpoint.folder.exists() {
            // Not one of this run: it would have been gone on from.
            self.put_aside(&checkpoint)?;
        }
        fs::rename(&unfinished, &checkpoint.folder).map_err(failed)?;
        sealed::sync_folder(&self.folder).map_err(failed)?;
        self.remove_old(keep)?;
        Ok(true)
    }

    /// Removes all but the last `keep` checkpoints.
    fn remove_old(&self, keep: usize) -> Result<(), TrainingError> {
        let mut old = self.all()?;
        old.truncate(old.len().saturating_sub(keep));
        for old in old {
            fs::remove_dir_all(&old.folder)
                .map_err(|source| failed("remove the old checkpoint", &old.folder, source))?;
        }
        Ok(())
    }

    /// The checkpoints by step, whole or not.
    fn all(&self) -> Result<Vec<Checkpoint>, TrainingError> {
        let mut found: Vec<Checkpoint> = self
            .named(PREFIX)?
            .into_iter()
            .filter_map(|folder| {
                let step = folder.file_name()?.to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
                Some(Checkpoint { step, folder })
            })
            .collect();
        found.sort_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// The folders whose names begin so.
    fn named(&self, prefix: &str) -> Result<Vec<PathBuf>, TrainingError> {
        let read = || -> io::Result<Vec<PathBuf>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                let is_named = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
                if is_named && entry.file_type()?.is_dir() {
                    found.push(entry.path());
                }
            }
            Ok(found)
        };
        read().map_err(|source| failed("read", &self.folder, source))
    }

    /// Whether there is something that took work to make.
    fn has_results(&self) -> Result<bool, TrainingError> {
        let references = self.file(crate::reference_file::NAME);
        Ok(!self.all()?.is_empty() || references.metadata().is_ok_and(|file| file.len() > 0))
    }

    /// Whether a checkpoint says that it belongs to this training.
    fn is_confirmed(&self) -> Result<bool, TrainingError> {
        let mut all = self.all()?.into_iter();
        Ok(all.any(|checkpoint| {
            read_manifest(&checkpoint).is_ok_and(|manifest| manifest.training == self.training)
        }))
    }

    /// Gives a damaged checkpoint another name. An older damaged one of the same step is removed.
    fn put_aside(&self, checkpoint: &Checkpoint) -> Result<(), TrainingError> {
        let aside = self.folder.join(format!("{DAMAGED}{PREFIX}{:06}", checkpoint.step));
        let rename = || {
            if aside.exists() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(&checkpoint.folder, &aside)
        };
        rename().map_err(|source| failed("rename the damaged checkpoint", &checkpoint.folder, source))
    }

    fn other(&self, differences: &[String]) -> TrainingError {
        let differences = if differences.is_empty() {
            format!("{DESCRIPTION}, which says what, cannot be read")
        } else {
            differences.join("; ")
        };
        TrainingError::OtherTraining { path: self.folder.clone(), differences }
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> TrainingError {
    TrainingError::CheckpointFolder { action, path: path.into(), source }
}

fn read_manifest(checkpoint: &Checkpoint) -> Result<Manifest, String> {
    let json =
        sealed::read(&checkpoint.folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let manifest: Manifest = serde_json::from_str(&json).map_err(|error| format!("{MANIFEST}: {error}"))?;
    if manifest.progress.step == checkpoint.step {
        Ok(manifest)
    } else {
        Err(format!("{MANIFEST}: it is of step {}", manifest.progress.step))
    }
}

/// What is wrong with the learner's files.
fn damage(checkpoint: &Checkpoint, manifest: &Manifest) -> Option<String> {
    let found = match hashes(&checkpoint.folder.join(LEARNER)) {
        Ok(found) => found,
        Err(error) => return Some(format!("{LEARNER}: {error}")),
    };
    manifest.files.iter().find_map(|(name, hash)| match found.get(name) {
        None => Some(format!("{LEARNER}/{name} is missing")),
        Some(found) if found != hash => Some(format!("{LEARNER}/{name} is not as it was written")),
        Some(_) => None,
    })
}

/// The hash of each file in a folder, by its path within it.
fn hashes(folder: &Path) -> io::Result<BTreeMap<String, Sha256Hex>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), folder.to_path_buf())];
    while let Some((within, folder)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{within}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((format!("{name}/"), entry.path()));
            } else {
                found.insert(name, Sha256Hex::of_file(&entry.path())?);
            }
        }
    }
    Ok(found)
}
