//! What a file holds, by its ending.

use std::path::Path;

use crate::DataError;

/// The layouts of files that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.jsonl`: one JSON object a line.
    JsonLines,
    /// `.json`: an array of objects; reading takes one object a line as well.
    Json,
    /// `.parquet`.
    Parquet,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, DataError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("jsonl") => Ok(Self::JsonLines),
            Some("json") => Ok(Self::Json),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(DataError::UnknownEnding { path: path.to_owned() }),
        }
    }
}
