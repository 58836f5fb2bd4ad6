//! A base with a LoRA adapter over it, against the same model with the adapter added to its weights.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::BTreeMap,
    error::Error,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use lancer_backend::{Backend, BackendError, conformance};
use lancer_llama_cpp::{GpuLayers, LlamaCpp, LlamaCppAdapterError, LlamaCppSettings, Placement};
use lancer_model::{
    ConvertFormat, Model, ModelError, Tensor, convert,
    gguf::{self, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
};
use tempfile::TempDir;

const RANK: usize = 4;
const ALPHA: f32 = 8.0;

fn settings() -> LlamaCppSettings {
    LlamaCppSettings { threads: NonZeroU32::new(1), ..LlamaCppSettings::default() }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn base(name: &str, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{name}.gguf"));
    convert(&Model::open(&fixture(name)).unwrap(), &path, ConvertFormat::F32).unwrap();
    path
}

/// Small weights that differ from place to place and from `seed` to `seed`.
fn weights(shape: [usize; 2], seed: f32) -> Tensor {
    let data = (0..shape[0] * shape[1]).map(|place| (place as f32 * 0.37 + seed).sin() * 0.2).collect();
    Tensor { shape: shape.to_vec(), data }
}

/// An adapter of these matrices of `base`, and the base with the adapter added to its weights.
fn adapt(base: &Path, targets: &[&str], folder: &Path, seed: f32) -> (PathBuf, PathBuf) {
    let file = GgufFile::open(base).unwrap();
    let mut adapter = BTreeMap::new();
    let mut merged: BTreeMap<String, Tensor> =
        file.tensors().keys().map(|name| (name.clone(), file.tensor(name).unwrap())).collect();
    for &target in targets {
        let weight = merged.get_mut(target).unwrap();
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let (a, b) = (weights([RANK, inputs], seed), weights([outputs, RANK], seed + 1.0));
        for output in 0..outputs {
            for input in 0..inputs {
                let change: f32 =
                    (0..RANK).map(|rank| b.data[output * RANK + rank] * a.data[rank * inputs + input]).sum();
                weight.data[output * inputs + input] += ALPHA / RANK as f32 * change;
            }
        }
        adapter.insert(format!("{target}.lora_a"), a);
        adapter.insert(format!("{target}.lora_b"), b);
    }
    let text = |text: &str| Value::String(text.into());
    let architecture = file.metadata().text(base, "general.architecture").unwrap().unwrap();
    let metadata = BTreeMap::from([
        ("general.type".to_owned(), text("adapter")),
        ("general.architecture".to_owned(), text(architecture)),
        ("adapter.type".to_owned(), text("lora")),
        ("adapter.lora.alpha".to_owned(), Value::F32(ALPHA)),
    ]);
    let adapter_path = folder.join(format!("adapter-{seed}.gguf"));
    let merged_path = folder.join(format!("merged-{seed}.gguf"));
    write(&adapter_path, &Metadata(metadata), &adapter);
    write(&merged_path, file.metadata(), &merged);
    (adapter_path, merged_path)
}

fn write(path: &Path, metadata: &Metadata, tensors: &BTreeMap<String, Tensor>) {
    let described: Vec<GgufTensor> = tensors
        .iter()
        .map(|(name, tensor)| GgufTensor { name: name.clone(), shape: tensor.shape.clone() })
        .collect();
    gguf::write(path, metadata, &described, GgufFormat::F32, |tensor| {
        Ok::<_, ModelError>(tensors[&tensor.name].clone())
    })
    .unwrap();
}

const TARGETS: [&str; 4] =
    ["blk.0.attn_q.weight", "blk.0.attn_v.weight", "blk.1.ffn_down.weight", "blk.1.ffn_up.weight"];

#[test]
fn a_base_with_an_adapter_conforms_and_is_the_merged_model() {
    for name in ["tiny-llama", "tiny-qwen2", "tiny-gemma3"] {
        let folder = tempfile::tempdir().unwrap();
        let base = base(name, folder.path());
        let (adapter, merged) = adapt(&base, &TARGETS, folder.path(), 1.0);
        let mut adapted = LlamaCpp::load_adapted(&base, &adapter, &settings()).unwrap();
        let mut merged = LlamaCpp::load(&merged, &settings()).unwrap();
        let mut plain = LlamaCpp::load(&base, &settings()).unwrap();
        conformance::backends_agree(&mut adapted, &mut merged, 2e-3);
        assert!(difference(&mut adapted, &mut plain) > 0.05, "{name}: the adapter changes nothing");
        for case in conformance::BACKEND {
            println!("{name}: {}", case.name);
            (case.run)(&mut adapted);
        }
    }
}

#[test]
fn an_adapter_takes_the_place_of_another_over_the_same_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = base("tiny-llama", folder.path());
    let (first, _) = adapt(&base, &TARGETS, folder.path(), 1.0);
    let (second, merged) = adapt(&base, &TARGETS[1..3], folder.path(), 5.0);
    let engine = LlamaCpp::load_adapted(&base, &first, &settings()).unwrap();
    let mut engine = engine.with_adapter(Some(&second)).unwrap();
    conformance::backends_agree(&mut engine, &mut LlamaCpp::load(&merged, &settings()).unwrap(), 2e-3);
    let mut engine = engine.with_adapter(None).unwrap();
    let mut plain = LlamaCpp::load(&base, &settings()).unwrap();
    assert!(difference(&mut engine, &mut plain) < 1e-6);
}

/// The largest difference between two engines' log-probabilities of a text.
fn difference(one: &mut LlamaCpp, other: &mut LlamaCpp) -> f32 {
    use lancer_backend::{Continuation, Prompt, ScoreRequest};
    let log_probs = |engine: &mut LlamaCpp| {
        let request = ScoreRequest {
            prompt: Prompt::user("Name a colour."),
            continuations: vec![Continuation::closed("The sky is blue, and so is the sea.")],
        };
        let mut given = Vec::new();
        engine
            .score(&[request], &mut |_, scored| {
                given.extend(scored[0].log_probs.clone());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        given
    };
    let (one, other) = (log_probs(one), log_probs(other));
    one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn refused(base: &Path, adapter: &Path) -> String {
    let Err(error) = LlamaCpp::load_adapted(base, adapter, &settings()) else { panic!("it was loaded") };
    let BackendError::Load { source, .. } = error else { panic!("{error}") };
    assert!(source.downcast_ref::<LlamaCppAdapterError>().is_some(), "{source}");
    source.to_string()
}

fn of_two() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (llama, qwen) = (base("tiny-llama", folder.path()), base("tiny-qwen2", folder.path()));
    (folder, llama, qwen)
}

#[test]
fn an_adapter_of_another_base_is_refused_by_what_differs() {
    let (folder, llama, qwen) = of_two();
    let (adapter, merged) = adapt(&llama, &TARGETS, folder.path(), 1.0);
    assert!(refused(&qwen, &adapter).contains("its architecture is llama, the base's is qwen2"));
    let text = refused(&llama, &merged);
    assert!(text.contains("no LoRA adapter"), "{text}");
    let text = refused(&llama, &folder.path().join("absent.gguf"));
    assert!(text.contains("absent.gguf cannot be read"), "{text}");

    let file = GgufFile::open(&adapter).unwrap();
    let change = |from: &str, to: &str, cut: bool| {
        let tensors = file
            .tensors()
            .keys()
            .map(|name| {
                let mut tensor = file.tensor(name).unwrap();
                if cut && name.ends_with("lora_a") {
                    let inputs = tensor.shape[1] / 2;
                    tensor = weights([RANK, inputs], 0.0);
                }
                (name.replace(from, to), tensor)
            })
            .collect();
        let path = folder.path().join(format!("changed-{to}-{cut}.gguf"));
        write(&path, file.metadata(), &tensors);
        path
    };
    let text = refused(&llama, &change("blk.1.", "blk.7.", false));
    assert!(text.contains("blk.7.ffn_down.weight, which the base lacks"), "{text}");
    let text = refused(&llama, &change("blk.1.", "blk.1.", true));
    assert!(text.contains("inputs, the base's blk.0.attn_q.weight has"), "{text}");
}

#[test]
fn layers_for_a_graphics_processor_that_is_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = base("tiny-llama", folder.path());
    let engine = LlamaCpp::load(&base, &settings()).unwrap();
    if let Placement::Gpu { layers, of, .. } = engine.placement() {
        assert_eq!(layers, of, "a tiny model fits into any device");
        return;
    }
    for (settings, named) in [
        (LlamaCppSettings { gpu_layers: GpuLayers::Count(3), ..settings() }, "gpu_layers is 3"),
        (LlamaCppSettings { main_gpu: Some(1), ..settings() }, "main_gpu is 1"),
    ] {
        let error = LlamaCpp::load(&base, &settings).err().unwrap();
        let text = error.source().unwrap().to_string();
        assert!(text.contains(named) && text.contains("llama-cpp-cuda"), "{text}");
    }
}
