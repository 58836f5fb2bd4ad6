//! How errors of llama.cpp become errors of an engine.

use std::error::Error;

use lancer_backend::BackendError;

/// The engine's name.
pub(crate) const ENGINE: &str = "llama-cpp";

/// For `map_err` on what llama.cpp returns.
pub(crate) fn engine_error(
    action: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> BackendError {
    BackendError::Engine { engine: ENGINE, action: action.into(), source: source.into() }
}
