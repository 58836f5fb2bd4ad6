//! What can go wrong in an engine.

use std::{error::Error, path::PathBuf};

/// An error of a [`Backend`](crate::Backend).
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The model could not be loaded.
    #[error("cannot load the model {path}")]
    Load {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A prompt with its longest continuation does not fit into the context.
    #[error(
        "request {request}: {tokens} tokens do not fit into the context of {context_length}; shorten the prompt or load the model with a longer context"
    )]
    TooLong {
        /// Index of the request.
        request: usize,
        /// Tokens needed: the prompt and at least one more for a sample, or the whole continuation.
        tokens: usize,
        /// Tokens there are.
        context_length: usize,
    },
    /// A request is not valid.
    #[error("request {request}: {reason}")]
    InvalidRequest {
        /// Index of the request.
        request: usize,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The model's chat template could not render the messages.
    #[error("the model's chat template cannot render these messages")]
    ChatTemplate(#[source] Box<dyn Error + Send + Sync>),
    /// The sink cancelled the call. What it had been given until then is valid.
    #[error("cancelled")]
    Cancelled,
    /// The engine failed.
    #[error("{engine} failed while {action}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// What it was doing.
        action: String,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// An error of a [`Learner`](crate::Learner).
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// The model could not be loaded.
    #[error("cannot load the model {path}")]
    Load {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A sequence of a batch is not valid: empty, no target, a token outside the vocabulary, too long.
    #[error("sequence {sequence} of the batch: {reason}")]
    InvalidSequence {
        /// Index in the batch.
        sequence: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// `backward` was called without a `forward` before it, or with weights of another shape.
    #[error("backward: {0}")]
    InvalidBackward(String),
    /// The gradient or a weight is not finite.
    #[error("the gradient is not finite at step {step}; lower the learning rate or clip the gradient")]
    NotFinite {
        /// The optimizer step.
        step: u64,
    },
    /// The model's chat template could not render the messages.
    #[error("the model's chat template cannot render these messages")]
    ChatTemplate(#[source] Box<dyn Error + Send + Sync>),
    /// A checkpoint could not be written or read.
    #[error("checkpoint {path}: {action}")]
    Checkpoint {
        /// The folder.
        path: PathBuf,
        /// What failed.
        action: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The trained model could not be written.
    #[error("cannot export the model to {path}")]
    Export {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}
