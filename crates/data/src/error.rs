//! What can go wrong with whole files, frames and settings. A single bad record is a [`Reject`](crate::Reject), no error.

use std::{io, path::PathBuf};

use lancer_output::OutputError;
use polars::error::PolarsError;

use crate::UnpackLimit;

/// An error of reading, writing or laying out records.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path on the Hugging Face hub is none.
    #[error(
        "{path} is no file on the hub; write hf://datasets/OWNER/NAME/PATH, with @REVISION after NAME for another than main"
    )]
    HubPath {
        /// The path.
        path: PathBuf,
    },
    /// A file on the Hugging Face hub could not be fetched.
    #[error("cannot fetch {path} from the Hugging Face hub")]
    Hub {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file's name does not say what it holds.
    #[error(
        "{path} does not end in .jsonl, .json, .csv, .tsv (or one of these and .gz or .zst) or .parquet; rename it to say what it holds"
    )]
    UnknownEnding {
        /// The file.
        path: PathBuf,
    },
    /// The file holds nothing at all.
    #[error("{path} holds no record; give a file with at least one")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A folder or pattern leads to no file.
    #[error(
        "no file with a known ending is at {path}; give a file, a folder, or a pattern such as 'data/*.jsonl'"
    )]
    NoFile {
        /// The folder or pattern.
        path: PathBuf,
    },
    /// A file was changed between two readings.
    #[error("{path} was changed while it was read; run this again when nothing writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a Parquet file, or a damaged one.
    #[error("{path} cannot be read as Parquet; write it again, or convert it to .jsonl")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What Polars said.
        source: PolarsError,
    },
    /// Reading the file as Parquet ended the process that was to try it.
    #[error(
        "{path} is damaged: reading it ended the process that tried it ({reason}); write it again, or convert it to .jsonl"
    )]
    ParquetTrial {
        /// The file.
        path: PathBuf,
        /// How the process ended.
        reason: String,
    },
    /// A packed file unpacks to many times its length.
    #[error(
        "{path}: {limit}; if that is what it holds, raise the limit (`--unpack-ratio`, `set_unpack_ratio`)"
    )]
    UnpacksTooFar {
        /// The file.
        path: PathBuf,
        /// How far it was read, and the limit.
        limit: UnpackLimit,
    },
    /// A Parquet column has a type that no record has.
    #[error("{path}: column `{column}` is of the type {found}; cast it to text or a number, or leave it out")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type, as Arrow calls it.
        found: String,
    },
    /// The file or folder could not be written. What stood there before still does.
    #[error("cannot write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written where it should be.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A row is not one that can be written.
    #[error("row {row} cannot be written as a JSON object")]
    Row {
        /// The row, from 1.
        row: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The rows do not fit into columns.
    #[error(
        "column `{column}`, row {row}: {reason}; write .jsonl instead, where every row stands for itself"
    )]
    Column {
        /// The column.
        column: String,
        /// The row, from 1, at which this was found.
        row: usize,
        /// What does not fit.
        reason: String,
    },
    /// A frame lacks a column, or Polars refused it.
    #[error("the frame cannot be used")]
    Frame {
        /// What Polars said.
        #[from]
        source: PolarsError,
    },
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SettingError {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}
