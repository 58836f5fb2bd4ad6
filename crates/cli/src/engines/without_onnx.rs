//! In place of ONNX Runtime where it is not built in.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError};
use lancer_model::Model;

use super::{BackendName, EngineOptions, OnnxFormat, OnnxOperators, missing};

pub(super) fn backend(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    // A backend has the name of the feature that it needs.
    Err(BackendError::Load { path: model.into(), source: missing(BackendName::of(options).name()) })
}

pub(crate) fn write_onnx(
    _: &Model,
    _: &Path,
    _: OnnxFormat,
    _: OnnxOperators,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(missing("onnx"))
}
