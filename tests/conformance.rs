//! The conformance suite on every engine, and the table of it in docs/reference/conformance.md.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu", feature = "burn-wgpu", feature = "onnx"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fmt::Write,
    fs,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend,
    conformance::{self, TINY_MODELS},
};
use lancer_burn::{BurnBackend, BurnDevice, BurnLearner, BurnSettings, TrainSettings};
use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
use lancer_model::{ConvertFormat, Model, convert};
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Operators, export};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(name: &str) -> PathBuf {
    root().join("fixtures").join(name)
}

/// Burn's devices in the table's order, its last columns.
const BURN: [BurnDevice; 2] = [BurnDevice::Cpu, BurnDevice::Wgpu];

/// The engines in the table's order, each with all models.
fn engines(scratch: &Path) -> Vec<(&'static str, Vec<Box<dyn Backend>>)> {
    let mut engines: Vec<(&str, Vec<Box<dyn Backend>>)> =
        ["llama.cpp", "ONNX Runtime, fused", "ONNX Runtime, plain", "Burn", "Burn, wgpu"]
            .map(|name| (name, Vec::new()))
            .into();
    let threads = NonZeroU32::new(1);
    for name in TINY_MODELS {
        let model = Model::open(&fixture(name)).unwrap();
        let file = scratch.join(name).with_extension("gguf");
        convert(&model, &file, ConvertFormat::F32).unwrap();
        let settings = LlamaCppSettings { threads, ..LlamaCppSettings::default() };
        engines[0].1.push(Box::new(LlamaCpp::load(&file, &settings).unwrap()));
        for (place, operators) in [Operators::Fused, Operators::Plain].into_iter().enumerate() {
            let to = scratch.join(format!("{name}-{operators:?}"));
            export(&model, &model, &to, &ExportSettings { operators, ..ExportSettings::default() }).unwrap();
            let settings = OnnxSettings { threads, ..OnnxSettings::default() };
            engines[1 + place].1.push(Box::new(OnnxRuntime::load(&to, &settings).unwrap()));
        }
        for (place, device) in BURN.into_iter().enumerate() {
            let settings = BurnSettings { device, ..BurnSettings::default() };
            engines[3 + place].1.push(Box::new(BurnBackend::load(&fixture(name), &settings).unwrap()));
        }
    }
    engines
}

/// `yes` where a case holds on all models.
fn held(case: impl FnMut()) -> &'static str {
    if catch_unwind(AssertUnwindSafe(case)).is_ok() { "yes" } else { "**no**" }
}

#[test]
fn the_table_in_the_documentation_is_what_a_run_gives() {
    let scratch = tempfile::tempdir().unwrap();
    let mut engines = engines(scratch.path());
    let mut table = String::from("| case |");
    for (name, _) in &engines {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(engines.len()));
    for case in conformance::BACKEND {
        write!(table, "\n| {} |", case.name).unwrap();
        for (_, models) in &mut engines {
            let held = held(|| models.iter_mut().for_each(|engine| (case.run)(engine.as_mut())));
            write!(table, " {held} |").unwrap();
        }
    }
    for case in conformance::LEARNER {
        let not_trained = " – |".repeat(engines.len() - BURN.len());
        write!(table, "\n| training: {} |{not_trained}", case.name).unwrap();
        for device in BURN {
            let settings = TrainSettings { device, ..TrainSettings::default() };
            let held = held(|| {
                for name in TINY_MODELS {
                    (case.run)(&mut || Box::new(BurnLearner::load(&fixture(name), &settings).unwrap()));
                }
            });
            write!(table, " {held} |").unwrap();
        }
    }
    println!("{table}");
    let documentation = fs::read_to_string(root().join("docs/reference/conformance.md")).unwrap();
    assert!(
        documentation.contains(&table),
        "docs/reference/conformance.md has another table than this run gives:\n{table}"
    );
}
