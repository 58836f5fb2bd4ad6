//! Adapters as files: what PEFT writes, what llama.cpp reads, and what is refused.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_model::{
    Adapter, ConvertFormat, Model, convert,
    gguf::{self, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
};
use serde_json::{Value as Json, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

/// An adapter over tiny-llama's query, key and down projections, as PEFT wrote it.
const PEFT: &str = "burn/peft/some-modules";

fn tiny() -> Model {
    Model::open(&fixture("tiny-llama")).unwrap()
}

#[test]
fn what_peft_writes_is_read_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = tiny();
    let adapter = Adapter::open(&fixture(PEFT), tiny.config()).unwrap();
    assert_eq!((adapter.scale.rank, adapter.scale.factor(), adapter.pairs.len()), (3, 2.0, 6));
    assert_eq!(adapter.base, None);
    let pair = adapter.pair("model.layers.1.mlp.down_proj").unwrap();
    assert_eq!((&pair.down.shape[..], &pair.up.shape[..]), (&[3, 160][..], &[64, 3][..]));

    let to = folder.path().join("again");
    adapter.write_folder(&tiny, &to).unwrap();
    assert_eq!(Adapter::open(&to, tiny.config()).unwrap(), adapter);
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        assert!(to.join(file).exists(), "{file}");
    }
    let config = |path: PathBuf| -> Json { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let [written, pefts] = [to, fixture(PEFT)].map(|folder| config(folder.join("adapter_config.json")));
    let sorted = |config: &Json| {
        let mut names: Vec<String> = serde_json::from_value(config["target_modules"].clone()).unwrap();
        names.sort();
        names
    };
    assert_eq!(sorted(&written), sorted(&pefts));
    for field in ["peft_type", "r", "task_type", "bias", "use_rslora", "use_dora", "fan_in_fan_out"] {
        assert_eq!(written[field], pefts[field], "{field}");
    }
    assert_eq!(written["lora_alpha"].as_f64(), pefts["lora_alpha"].as_f64());
}

#[test]
fn a_gguf_adapter_is_as_llama_cpp_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = tiny();
    let adapter = Adapter::open(&fixture(PEFT), tiny.config()).unwrap();
    let path = folder.path().join("adapter.gguf");
    adapter.write_gguf(tiny.config(), &path).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let text = |key: &str| file.metadata().text(&path, key).unwrap().unwrap().to_owned();
    assert_eq!(
        [text("general.type"), text("adapter.type"), text("general.architecture")],
        ["adapter", "lora", "llama"]
    );
    // llama.cpp multiplies by alpha over the rank.
    assert_eq!(file.metadata().float(&path, "adapter.lora.alpha").unwrap(), Some(6.0));
    assert_eq!(file.tensors()["blk.0.attn_q.weight.lora_a"].shape, [3, 64]);
    assert_eq!(file.tensors()["blk.0.attn_q.weight.lora_b"].shape, [64, 3]);
    // The rows of a head's queries are interleaved in a Llama's GGUF file: row 1 of B is what was row 8.
    let stored = file.tensor("blk.0.attn_q.weight.lora_b").unwrap().data;
    let pair = adapter.pair("model.layers.0.self_attn.q_proj").unwrap();
    assert_eq!(stored[3..6], pair.up.data[24..27]);
    assert!(Adapter::is_at(&path));
    assert_eq!(Adapter::open(&path, tiny.config()).unwrap(), adapter);
    let other = Model::open(&fixture("tiny-qwen2")).unwrap();
    let error = Adapter::open(&path, other.config()).unwrap_err().to_string();
    assert!(error.contains("architecture `llama`, and the base is a `qwen2`"), "{error}");
}

#[test]
fn merged_weights_are_the_bases_and_the_product() {
    let plain = tiny();
    let adapted = tiny().with_adapter(&fixture(PEFT)).unwrap();
    assert_eq!(adapted.path(), fixture(PEFT));
    let name = "model.layers.0.self_attn.q_proj.weight";
    let (base, merged) = (plain.tensor(name).unwrap(), adapted.tensor(name).unwrap());
    assert_eq!(adapted.base_tensor(name).unwrap(), base);
    let pair = adapted.adapter().unwrap().pair("model.layers.0.self_attn.q_proj").unwrap();
    for (place, (merged, base)) in merged.data.iter().zip(&base.data).enumerate() {
        let (row, column) = (place / 64, place % 64);
        let terms = (0..3).map(|i| pair.up.data[row * 3 + i] * pair.down.data[i * 64 + column]);
        let expected = base + 2.0 * terms.sum::<f32>();
        assert!((merged - expected).abs() < 1e-6, "{merged}, expected {expected}");
    }
    let other = "model.layers.0.self_attn.v_proj.weight";
    assert_eq!(adapted.tensor(other).unwrap(), plain.tensor(other).unwrap());
    let error = adapted.with_adapter(&fixture(PEFT)).unwrap_err().to_string();
    assert!(error.contains("has the adapter") && error.contains("already"), "{error}");
}

#[test]
fn stored_matrices_are_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    for (file, format) in [
        ("half.gguf", ConvertFormat::Half),
        ("q8_0.gguf", ConvertFormat::Q8_0),
        ("half", ConvertFormat::Half),
    ] {
        let path = folder.path().join(file);
        convert(&tiny(), &path, format).unwrap();
        let model = Model::open(&path).unwrap();
        for name in model.tensor_names() {
            let tensor = model.tensor(&name).unwrap();
            let [rows, columns] = tensor.shape[..] else {
                assert!(model.stored(&name).is_err(), "{name} is no matrix");
                continue;
            };
            let stored = model.stored(&name).unwrap();
            assert_eq!([stored.blocks().rows(), stored.blocks().columns()], [rows, columns]);
            let mut weights = vec![0.0; rows * columns];
            stored.blocks().dequantise_rows(0..rows, &mut weights);
            assert!(weights == tensor.data, "{file}: {name}");
        }
    }
}

/// What is wrong with PEFT's folder after a change of its configuration.
fn refused(change: impl FnOnce(&mut Json)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter_config.json");
    let mut config: Json =
        serde_json::from_slice(&fs::read(fixture(PEFT).join("adapter_config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    let weights = "adapter_model.safetensors";
    fs::copy(fixture(PEFT).join(weights), folder.path().join(weights)).unwrap();
    Adapter::open(folder.path(), tiny().config()).unwrap_err().to_string()
}

#[test]
fn adapters_that_cannot_be_used_are_named() {
    for (field, value, said) in [
        ("r", json!(0), "r is 0"),
        ("r", json!(5), "do not fit rank 5"),
        ("lora_alpha", json!(-1.0), "lora_alpha is -1"),
        ("peft_type", json!("IA3"), "peft_type is IA3"),
        ("use_dora", json!(true), "use_dora is set"),
        ("rank_pattern", json!({"q_proj": 8}), "rank_pattern is set"),
        ("modules_to_save", json!(["lm_head"]), "modules_to_save is set"),
    ] {
        let error = refused(|config| config[field] = value);
        assert!(error.contains(said), "{error}");
    }
    let error = Model::open(&fixture(PEFT)).unwrap_err().to_string();
    assert!(error.contains("does not say over which base"), "{error}");
}

/// A GGUF adapter with these tensors.
fn hostile(tensors: &[(&str, Vec<usize>)], alpha: f32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    let text = |text: &str| Value::String(text.into());
    let metadata = Metadata(
        [
            ("general.architecture".to_owned(), text("llama")),
            ("general.type".to_owned(), text("adapter")),
            ("adapter.type".to_owned(), text("lora")),
            ("adapter.lora.alpha".to_owned(), Value::F32(alpha)),
        ]
        .into(),
    );
    let described: Vec<GgufTensor> = tensors
        .iter()
        .map(|(name, shape)| GgufTensor { name: (*name).into(), shape: shape.clone() })
        .collect();
    gguf::write(&path, &metadata, &described, GgufFormat::F32, |tensor| {
        let data = vec![0.0; tensor.shape.iter().product()];
        Ok::<_, lancer_model::ModelError>(lancer_model::Tensor { shape: tensor.shape.clone(), data })
    })
    .unwrap();
    Adapter::open(&path, tiny().config()).unwrap_err().to_string()
}

#[test]
fn shapes_that_a_file_claims_are_not_believed() {
    let (a, b) = ("blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b");
    for (tensors, alpha, said) in [
        (vec![(a, vec![2, 64]), (b, vec![3, 2])], 1.0, "another base"),
        (vec![(a, vec![2, 64]), (b, vec![64])], 1.0, "another base"),
        (vec![(a, vec![64]), (b, vec![64, 1])], 1.0, "another base"),
        (vec![(a, vec![2, 64]), (b, vec![64, 2])], f32::NAN, "alpha"),
        (vec![(a, vec![2, 64])], 1.0, "no tensor"),
        (
            vec![("blk.7.attn_q.weight.lora_a", vec![2, 64]), ("blk.7.attn_q.weight.lora_b", vec![64, 2])],
            1.0,
            "no such matrix",
        ),
        (
            vec![("token_embd.weight.lora_a", vec![2, 64]), ("token_embd.weight.lora_b", vec![64, 2])],
            1.0,
            "does not train",
        ),
        (vec![("blk.0.attn_q.weight", vec![2, 64])], 1.0, "neither A nor B"),
        (vec![], 1.0, "no pair"),
    ] {
        let error = hostile(&tensors, alpha);
        assert!(error.contains(said), "{tensors:?}: {error}");
    }
}
