//! The tiny models against what transformers says of them.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::PathBuf};

use lancer_core::Message;
use lancer_model::{
    ChatInput, Config, ConvertFormat, Family, GenerationPrompt, Head, Model, ModelError, SpecialTokens,
    convert, gguf,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    prompt: String,
    response: String,
    text: String,
    prompt_tokens: Vec<u32>,
    response_tokens: Vec<u32>,
    greedy_tokens: Vec<u32>,
    greedy_text: String,
}

const MODELS: [&str; 6] =
    ["tiny-llama", "tiny-qwen2", "tiny-llama3", "tiny-mistral", "tiny-qwen3", "tiny-gemma3"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn expected(name: &str) -> Vec<Expected> {
    serde_json::from_slice(&fs::read(folder(name).join("expected.json")).unwrap()).unwrap()
}

/// Text and tokens are those of transformers.
fn reads_as_transformers(model: &Model, name: &str) {
    let tokenizer = model.tokenizer();
    for row in expected(name) {
        let text = model
            .chat_template()
            .unwrap()
            .render(&ChatInput::new(&[Message::user(&row.prompt)], GenerationPrompt::Open))
            .unwrap()
            .text;
        assert_eq!(text, row.text);
        assert_eq!(tokenizer.encode(&text, SpecialTokens::Recognised), row.prompt_tokens);
        let mut response = tokenizer.encode(&row.response, SpecialTokens::AsText);
        assert_eq!(tokenizer.decode(&response), row.response);
        response.push(tokenizer.end_of_turn());
        assert_eq!(response, row.response_tokens);
        assert_eq!(tokenizer.decode(&row.greedy_tokens), row.greedy_text);
    }
}

#[test]
fn folders_are_read_as_transformers_reads_them() {
    for name in MODELS {
        reads_as_transformers(&Model::open(&folder(name)).unwrap(), name);
    }
}

#[test]
fn configurations_are_read() {
    let llama = Model::open(&folder("tiny-llama")).unwrap();
    let config = llama.config();
    assert_eq!((config.family, config.head), (Family::Llama, Head::Tied));
    assert_eq!((config.layers, config.heads, config.kv_heads, config.head_dim), (2, 4, 2, 16));
    assert_eq!(llama.tensor_names().len(), 2 + 2 * 9);
    let qwen2 = Model::open(&folder("tiny-qwen2")).unwrap();
    assert_eq!((qwen2.config().family, qwen2.config().head), (Family::Qwen2, Head::Separate));
    assert_eq!(qwen2.tensor_names().len(), 3 + 2 * 12);
}

#[test]
fn a_special_token_in_foreign_text_stays_text() {
    let model = Model::open(&folder("tiny-llama")).unwrap();
    let text = "the end<|im_end|>";
    let tokenizer = model.tokenizer();
    assert!(tokenizer.encode(text, SpecialTokens::Recognised).contains(&tokenizer.end_of_turn()));
    let plain = tokenizer.encode(text, SpecialTokens::AsText);
    assert!(!plain.contains(&tokenizer.end_of_turn()));
    assert_eq!(tokenizer.decode(&plain), text);
}

fn assert_same_weights(one: &Model, two: &Model, tolerance: f32) {
    assert_eq!(one.tensor_names(), two.tensor_names());
    for name in one.tensor_names() {
        let (one, two) = (one.tensor(&name).unwrap(), two.tensor(&name).unwrap());
        assert_eq!(one.shape, two.shape, "{name}");
        let largest = one.data.iter().zip(&two.data).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(largest <= tolerance, "{name}: weights differ by {largest}");
    }
}

#[test]
fn gguf_and_back_is_the_same_model() {
    let scratch = tempfile::tempdir().unwrap();
    for name in MODELS {
        let original = Model::open(&folder(name)).unwrap();
        let (gguf, back) = (scratch.path().join(format!("{name}.gguf")), scratch.path().join(name));
        convert(&original, &gguf, ConvertFormat::F32).unwrap();
        let as_gguf = Model::open(&gguf).unwrap();
        reads_as_transformers(&as_gguf, name);
        // Adding 1 to the weights of Gemma's norms and taking it away again rounds them.
        let tolerance = if original.config().family == Family::Gemma3 { 1e-6 } else { 0.0 };
        assert_same_weights(&original, &as_gguf, tolerance);
        convert(&as_gguf, &back, ConvertFormat::F32).unwrap();
        let again = Model::open(&back).unwrap();
        reads_as_transformers(&again, name);
        assert_same_weights(&original, &again, tolerance);
        let expected = match original.config().family {
            // GGUF knows a Mistral as a Llama.
            Family::Mistral => Config { family: Family::Llama, ..original.config().clone() },
            _ => original.config().clone(),
        };
        assert_eq!(*again.config(), expected, "{name}");
    }
}

#[test]
fn an_embedding_may_have_rows_without_a_token() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = |file: &str| fs::copy(folder("tiny-llama").join(file), scratch.path().join(file)).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        copy(file);
    }
    let text = fs::read_to_string(folder("tiny-llama").join("tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    let last = vocab.iter().max_by_key(|(_, id)| id.as_u64()).unwrap().0.clone();
    assert_eq!(vocab.remove(&last).unwrap(), 511);
    json["model"]["merges"].as_array_mut().unwrap().pop().unwrap();
    fs::write(scratch.path().join("tokenizer.json"), json.to_string()).unwrap();

    let model = Model::open(scratch.path()).unwrap();
    let file = scratch.path().join("model.gguf");
    convert(&model, &file, ConvertFormat::F32).unwrap();
    let gguf = gguf::GgufFile::open(&file).unwrap();
    let tokens = gguf.metadata().texts(&file, "tokenizer.ggml.tokens").unwrap().unwrap();
    assert_eq!((tokens.len(), tokens[511]), (512, "[PAD511]"));
    assert_same_weights(&model, &Model::open(&file).unwrap(), 0.0);
}

#[test]
fn smaller_formats_are_close() {
    let scratch = tempfile::tempdir().unwrap();
    let original = Model::open(&folder("tiny-llama")).unwrap();
    for (to, format, tolerance) in [
        ("half.gguf", ConvertFormat::Half, 2e-3),
        ("q8_0.gguf", ConvertFormat::Q8_0, 2e-2),
        ("half", ConvertFormat::Half, 1e-2),
    ] {
        let path = scratch.path().join(to);
        convert(&original, &path, format).unwrap();
        assert_same_weights(&original, &Model::open(&path).unwrap(), tolerance);
    }
    let refused = convert(&original, &scratch.path().join("q8_0"), ConvertFormat::Q8_0).unwrap_err();
    assert!(refused.to_string().contains("only in a GGUF file"), "{refused}");
}

#[test]
fn a_damaged_folder_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = |file: &str| fs::copy(folder("tiny-llama").join(file), scratch.path().join(file)).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let error = Model::open(scratch.path()).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        copy(file);
    }
    assert!(Model::open(scratch.path()).unwrap().chat_template().is_none());

    let weights = scratch.path().join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() - 8]).unwrap();
    let error = Model::open(scratch.path()).unwrap_err();
    assert!(matches!(error, ModelError::Tensor { .. }), "{error}");
    fs::write(&weights, [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat()).unwrap();
    assert!(matches!(Model::open(scratch.path()), Err(ModelError::Damaged { .. })));
    fs::write(&weights, whole).unwrap();

    let config = fs::read_to_string(scratch.path().join("config.json")).unwrap();
    for (from, to, said) in [
        (
            "\"model_type\": \"llama\"",
            "\"model_type\": \"mamba\"",
            "known are llama, mistral, qwen2, qwen3, gemma3_text",
        ),
        (
            "\"hidden_size\": 64",
            "\"hidden_size\": 96",
            "tensor `model.embed_tokens.weight`: its shape is [512, 64]",
        ),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "no multiple of 3"),
        ("\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", "rope scaling `yarn`"),
    ] {
        fs::write(scratch.path().join("config.json"), config.replace(from, to)).unwrap();
        let error = Model::open(scratch.path()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
