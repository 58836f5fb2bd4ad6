//! What can be wrong with a model's files.

use std::{io, path::PathBuf};

use lancer_output::OutputError;

/// An error of reading or writing a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system could not read or write the file.
    #[error("cannot {action} {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `open`, `read`, `write`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be written where it should be.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file is not what its place says it is.
    #[error("{path} is no GGUF file: {reason}")]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file's description of its contents cannot be true or cannot be read.
    #[error("{path}: damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A tensor's description contradicts itself or the file.
    #[error("{path}: tensor `{tensor}`: {reason}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no tensor of this name.
    #[error("{path}: there is no tensor `{tensor}`")]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        tensor: String,
    },
    /// A metadata entry is missing or of another type than its key asks for.
    #[error("{path}: metadata `{key}`: {reason}")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The entry's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration cannot be read, contradicts itself, or asks for what cannot be computed.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An adapter cannot be read, or is of another base.
    #[error("the adapter {path}: {reason}")]
    Adapter {
        /// The adapter's folder or file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A tokenizer cannot be read.
    #[error("{path}: the tokenizer cannot be read: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A chat is to be rendered, and the model has no template for one.
    #[error("the model has no chat template; use a plain text prompt, or an instruct model")]
    NoChatTemplate,
    /// A chat template could not be read or rendered.
    #[error("chat template: {reason}")]
    ChatTemplate {
        /// What is wrong, with the line in the template where it is known.
        reason: String,
        /// What the template engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
