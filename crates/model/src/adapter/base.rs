//! The note of which model an adapter was trained over.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::absolute;
use crate::{ContentHash, ModelError, json_file};

/// The file beside an adapter.
pub(crate) const NOTE: &str = "lancer_base.json";

/// The model over which an adapter was trained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterBase {
    /// Where it was: a GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// [`ContentHash::of_model`]; a file's is its SHA-256.
    pub sha256: ContentHash,
}

impl AdapterBase {
    /// The model at `path`, whose files are read for it.
    pub fn of(path: &Path) -> Result<Self, ModelError> {
        Ok(Self { path: absolute(path), sha256: ContentHash::of_model(path)? })
    }

    /// The note in an adapter's folder, if there is one.
    pub(super) fn beside(folder: &Path) -> Result<Option<Self>, ModelError> {
        json_file::read(&folder.join(NOTE))
    }

    /// Checks that the model at `path` is this one; `adapter` is where the note is.
    pub(crate) fn check(&self, path: &Path, adapter: &Path) -> Result<(), ModelError> {
        let found = ContentHash::of_model(path)?;
        if found == self.sha256 {
            return Ok(());
        }
        let reason = format!(
            "it was trained over a model with the SHA-256 {}, and that of {} is {found}; give the base over which it was trained",
            self.sha256,
            path.display()
        );
        Err(ModelError::Adapter { path: adapter.into(), reason })
    }
}
