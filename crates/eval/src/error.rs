//! What can go wrong in an evaluation.

use std::path::PathBuf;

use lancer_backend::BackendError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A task file could not be read.
    #[error("cannot read the task file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A task file is not TOML, or has a field or a value that no task has. The source names the line and what is
    /// allowed there.
    #[error("the task file {} is not valid", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A task file is well formed, but its settings do not go together.
    #[error("the task file {}: {field}: {reason}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting, such as `few_shot.records`.
        field: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A record of the data does not have what the task needs of it.
    #[error("{}: record {record}: {field}: {reason}", data.display())]
    Record {
        /// The data file.
        data: PathBuf,
        /// The record's place in it, from 1.
        record: usize,
        /// The field, or the setting that uses the record.
        field: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The data has no record to evaluate.
    #[error("{}: {records} records, and {held_back} of them are few-shot examples: none is left to evaluate", data.display())]
    NoItems {
        /// The data file.
        data: PathBuf,
        /// How many records it has.
        records: usize,
        /// How many are few-shot examples.
        held_back: usize,
    },
    /// An item was asked for that the task does not have.
    #[error("the task {task} has {items} items; there is no item {item}")]
    NoSuchItem {
        /// The task.
        task: String,
        /// The item asked for, from 0.
        item: usize,
        /// How many there are.
        items: usize,
    },
    /// The engine cannot take an item, because it is too long or not valid.
    #[error("the task {task}: item {item} (record {record} of {}) cannot be evaluated", data.display())]
    Item {
        /// The task.
        task: String,
        /// The item, from 0.
        item: usize,
        /// The data file.
        data: PathBuf,
        /// The record's place in it, from 1.
        record: usize,
        /// Why.
        source: BackendError,
    },
    /// The model gave a log-probability that is not a finite number, as after a training that diverged.
    #[error(
        "the task {task}: item {item}: the model gave a log-probability that is not a finite number; its weights are damaged or its training diverged"
    )]
    NotFinite {
        /// The task.
        task: String,
        /// The item, from 0.
        item: usize,
    },
    /// The sink cancelled the evaluation. What it had been given until then is valid.
    #[error("cancelled")]
    Cancelled,
    /// The engine failed.
    #[error("the task {task}: the engine failed")]
    Backend {
        /// The task.
        task: String,
        /// Why.
        source: BackendError,
    },
}
