//! In place of servers where they are not built in.

use std::path::Path;

use lancer_backend::{Backend, BackendError};

use super::{EngineOptions, Scores, missing};

/// There is none.
pub(super) enum Connection {}

pub(super) fn connect(_: &EngineOptions, model: &Path, _: Scores) -> Result<Connection, BackendError> {
    Err(BackendError::Load { path: model.into(), source: missing("openai") })
}

pub(super) fn backend(
    _: &EngineOptions,
    connection: &Connection,
    _: &Path,
) -> Result<Box<dyn Backend>, BackendError> {
    match *connection {}
}

pub(super) fn serve(
    _: &EngineOptions,
    connection: &mut Connection,
    _: &mut KnownModels,
    _: &Path,
    _: &Path,
) -> Result<(), BackendError> {
    match *connection {}
}

/// Nothing is known of servers.
pub(super) struct KnownModels;

impl KnownModels {
    pub(super) fn of_run(_: Option<&Path>) -> Self {
        Self
    }
}
