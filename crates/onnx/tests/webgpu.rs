//! The engine on a graphics card, or on a driver in software that stands for one: caches stay in the device's memory.

#![cfg(feature = "webgpu")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::path::{Path, PathBuf};

use lancer_backend::{
    BackendError,
    conformance::{self, Reference, TINY_MODELS},
};
use lancer_model::Model;
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Operators, Provider, export};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn load(name: &str, settings: &ExportSettings) -> (Result<OnnxRuntime, BackendError>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open(&fixture(name)).unwrap();
    export(&model, &model, &folder.path().join(name), settings).unwrap();
    let settings = OnnxSettings { provider: Provider::WebGpu, ..OnnxSettings::default() };
    (OnnxRuntime::load(&folder.path().join(name), &settings), folder)
}

#[test]
#[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
fn conforms_on_webgpu() {
    let (engine, _folder) = load("tiny-llama", &Provider::WebGpu.export_settings());
    let mut engine = engine.unwrap();
    for case in conformance::BACKEND {
        println!("{}", case.name);
        (case.run)(&mut engine);
    }
}

#[test]
#[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
fn log_probabilities_are_those_of_transformers() {
    for name in TINY_MODELS {
        let (engine, _folder) = load(name, &Provider::WebGpu.export_settings());
        let mut engine = engine.unwrap();
        let rows = Reference::read(&fixture(name).join("expected.json"));
        let difference = conformance::difference_of_scores(&mut engine, &rows);
        assert!(difference < 1e-3, "{name}: {difference}");
        conformance::greedy_is_the_same(&mut engine, &rows);
    }
}

#[test]
#[ignore = "needs an ONNX Runtime with WebGPU; `cargo xtask test` runs it with one"]
fn fused_operators_are_refused() {
    let fused = ExportSettings { operators: Operators::Fused, ..ExportSettings::default() };
    let (engine, _folder) = load("tiny-llama", &fused);
    let Err(BackendError::Load { source, .. }) = engine else {
        panic!("a model with fused operators was loaded")
    };
    assert!(source.to_string().contains("--operators plain"), "{source}");
}
