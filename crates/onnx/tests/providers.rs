//! The engine on graphics cards, or on a driver in software that stands for one: caches stay in the device's memory.
//!
//! Each provider needs its own library, so that a run asks for one: `--test providers -- --ignored webgpu`.

#![cfg(any(feature = "webgpu", feature = "cuda"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::path::{Path, PathBuf};

use lancer_backend::{
    BackendError,
    conformance::{self, Reference, TINY_MODELS},
};
use lancer_model::Model;
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Provider, export};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn load(
    name: &str,
    provider: Provider,
    settings: &ExportSettings,
) -> (Result<OnnxRuntime, BackendError>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open(&fixture(name)).unwrap();
    export(&model, &model, &folder.path().join(name), settings).unwrap();
    let settings = OnnxSettings { provider, ..OnnxSettings::default() };
    (OnnxRuntime::load(&folder.path().join(name), &settings), folder)
}

fn conforms(provider: Provider, settings: &ExportSettings) {
    let (engine, _folder) = load("tiny-llama", provider, settings);
    let mut engine = engine.unwrap();
    for case in conformance::BACKEND {
        println!("{}", case.name);
        (case.run)(&mut engine);
    }
}

/// Log-probabilities are within `tolerance` of those of transformers on all families of models.
fn agrees_with_transformers(provider: Provider, settings: &ExportSettings, tolerance: f32) {
    for name in TINY_MODELS {
        let (engine, _folder) = load(name, provider, settings);
        let mut engine = engine.unwrap();
        let rows = Reference::read(&fixture(name).join("expected.json"));
        let difference = conformance::difference_of_scores(&mut engine, &rows);
        println!("{name}: {difference:.1e}");
        assert!(difference < tolerance, "{name}: {difference}");
        conformance::greedy_is_the_same(&mut engine, &rows);
    }
}

#[cfg(feature = "webgpu")]
mod webgpu {
    use lancer_onnx::Operators;

    use super::*;

    #[test]
    #[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
    fn conforms() {
        super::conforms(Provider::WebGpu, &Provider::WebGpu.export_settings());
    }

    #[test]
    #[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
    fn agrees_with_transformers() {
        super::agrees_with_transformers(Provider::WebGpu, &Provider::WebGpu.export_settings(), 1e-3);
    }

    #[test]
    #[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
    fn fused_operators_are_refused() {
        let fused = ExportSettings { operators: Operators::Fused, ..ExportSettings::default() };
        let (engine, _folder) = load("tiny-llama", Provider::WebGpu, &fused);
        let Err(BackendError::Load { source, .. }) = engine else {
            panic!("a model with fused operators was loaded")
        };
        assert!(source.to_string().contains("--operators plain"), "{source}");
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use lancer_onnx::{Operators, WeightType};

    use super::*;

    /// The form whose results are within rounding of the processor's.
    fn f32() -> ExportSettings {
        ExportSettings { weights: WeightType::F32, operators: Operators::Plain, ..ExportSettings::default() }
    }

    #[test]
    #[ignore = "needs an NVIDIA card and an ONNX Runtime with CUDA"]
    fn conforms() {
        super::conforms(Provider::Cuda, &Provider::Cuda.export_settings());
    }

    #[test]
    #[ignore = "needs an NVIDIA card and an ONNX Runtime with CUDA"]
    fn conforms_in_f32() {
        super::conforms(Provider::Cuda, &f32());
    }

    #[test]
    #[ignore = "needs an NVIDIA card and an ONNX Runtime with CUDA"]
    fn agrees_with_transformers() {
        super::agrees_with_transformers(Provider::Cuda, &f32(), 1e-3);
    }
}
