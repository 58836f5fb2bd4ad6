//! What can go wrong between this program and a server.

use std::error::Error;

use lancer_backend::BackendError;

use crate::load::Failed;

/// The engine's name.
pub(crate) const ENGINE: &str = "openai";

/// An error of the servers that is found before any work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No server was named.
    #[error("no server; name one with --server http://HOST:PORT")]
    NoServer,
    /// A server cannot be reached.
    #[error("the server {server} {reason}; is it running, and is this its address?")]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        reason: String,
    },
    /// A server refuses the key, or asks for one.
    #[error(
        "the server {server} asks for a key, or refuses the one it was given (status {status}); give its key in the variable {} or with --server-key-file FILE",
        crate::KEY_VARIABLE
    )]
    Key {
        /// Its address.
        server: String,
        /// What it answered.
        status: u16,
    },
    /// A server does not have the model.
    #[error(
        "the server {server} has no model `{asked}`; it has {known}: name one of them with --server-model NAME"
    )]
    NoModel {
        /// Its address.
        server: String,
        /// The name that was asked for.
        asked: String,
        /// Those that there are.
        known: String,
    },
    /// A server has several models, and none was named.
    #[error("the server {server} has {known}: name the model with --server-model NAME")]
    WhichModel {
        /// Its address.
        server: String,
        /// Those that there are.
        known: String,
    },
    /// A server answers otherwise than a server with OpenAI's interface.
    #[error("{server} is no server with OpenAI's interface: {reason}")]
    NotOpenAi {
        /// Its address.
        server: String,
        /// What it answered.
        reason: String,
    },
    /// The files of the model are those of another one.
    #[error(
        "the tokenizer at {path} is not that of the model that {server} serves: {reason}; give the served model's own files with --model"
    )]
    OtherTokenizer {
        /// The server.
        server: String,
        /// The files.
        path: std::path::PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The servers serve different models.
    #[error(
        "{first} serves `{model}` and {other} serves `{other_model}`; a run has one model: name servers of the same one"
    )]
    DifferentModels {
        /// A server.
        first: String,
        /// Its model.
        model: String,
        /// Another server.
        other: String,
        /// Its model.
        other_model: String,
    },
    /// A server cannot do what the work needs.
    #[error("{server}: {reason}")]
    Lacks {
        /// Its address.
        server: String,
        /// What it lacks, and the way out.
        reason: String,
    },
    /// A new model did not get to a server.
    #[error("the server {server} does not run the new model {path}: {reason}")]
    NewModel {
        /// Its address.
        server: String,
        /// The model.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
}

pub(crate) fn engine_error(
    action: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> BackendError {
    BackendError::Engine { engine: ENGINE, action: action.into(), source: source.into() }
}

/// The error of a call whose requests failed.
pub(crate) fn failed(action: &str, error: Failed) -> BackendError {
    match error {
        Failed::Cancelled => BackendError::Cancelled,
        Failed::Budget(spent) => engine_error(action, spent),
        other => engine_error(action, other),
    }
}
