//! Reading the small JSON files of a model's folder.

use std::{fs, io, path::Path};

use serde::de::DeserializeOwned;

use crate::ModelError;

/// What a file holds; `None` where there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ModelError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| ModelError::Config { path: path.into(), reason: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelError::Io { path: path.into(), action: "read", source }),
    }
}
