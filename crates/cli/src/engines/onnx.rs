//! ONNX Runtime: running models, and writing them in the form that it runs.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError};
use lancer_model::Model;
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Operators, Provider, WeightType, export};

use super::{BackendName, EngineOptions, OnnxFormat, OnnxOperators};
use crate::converted::as_onnx;

pub(super) fn backend(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    let provider = provider(BackendName::of(options))
        .map_err(|source| BackendError::Load { path: model.into(), source })?;
    let default = OnnxSettings::default();
    let settings = OnnxSettings {
        threads: options.threads,
        parallel: options.parallel.unwrap_or(default.parallel),
        cache_tokens: options.cache_tokens.unwrap_or(default.cache_tokens),
        provider,
        ..default
    };
    // Weights in a file of their own are mapped and not copied: half of the time to load, and less memory.
    let form = ExportSettings { external_above: 0, ..provider.export_settings() };
    Ok(Box::new(OnnxRuntime::load(&as_onnx(model, &form)?, &settings)?))
}

/// What computes. A backend other than the processor has the name of the feature that it needs.
fn provider(backend: BackendName) -> Result<Provider, Box<dyn Error + Send + Sync>> {
    match backend {
        BackendName::Onnx => Ok(Provider::Cpu),
        #[cfg(feature = "onnx-cuda")]
        BackendName::OnnxCuda => Ok(Provider::Cuda),
        #[cfg(feature = "onnx-tensorrt")]
        BackendName::OnnxTensorrt => Ok(Provider::TensorRt),
        #[cfg(feature = "onnx-coreml")]
        BackendName::OnnxCoreml => Ok(Provider::CoreMl),
        #[cfg(feature = "onnx-directml")]
        BackendName::OnnxDirectml => Ok(Provider::DirectMl),
        #[cfg(feature = "onnx-webgpu")]
        BackendName::OnnxWebgpu => Ok(Provider::WebGpu),
        other => Err(super::missing(other.name())),
    }
}

/// Writes a model as an ONNX folder.
pub(crate) fn write_onnx(
    model: &Model,
    to: &Path,
    format: OnnxFormat,
    operators: OnnxOperators,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let weights = match format {
        OnnxFormat::F32 => WeightType::F32,
        OnnxFormat::F16 => WeightType::F16,
        OnnxFormat::Int8 => WeightType::Int8,
    };
    let operators = match operators {
        OnnxOperators::Fused => Operators::Fused,
        OnnxOperators::Plain => Operators::Plain,
    };
    Ok(export(model, model, to, &ExportSettings { weights, operators, ..ExportSettings::default() })?)
}
