//! Files that say of a model what cannot be: each is refused with the file, the field, the value and what is possible.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path, sync::LazyLock};

use lancer_model::{
    ChatInput, ChatTemplate, ConvertFormat, GenerationPrompt, Model, ModelError, Tokenizer, convert,
    gguf::{self, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
};
use serde_json::{Value as Json, json};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-llama");

/// A GGUF file that is as it should be.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.gguf");
    convert(&Model::open(Path::new(TINY)).unwrap(), &path, ConvertFormat::Q8_0).unwrap();
    fs::read(path).unwrap()
});

/// Opens the good file with its metadata changed.
fn opened(change: impl FnOnce(&mut Metadata)) -> Result<Model, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    let (good, path) = (folder.path().join("good.gguf"), folder.path().join("changed.gguf"));
    fs::write(&good, &*GOOD).unwrap();
    let file = GgufFile::open(&good).unwrap();
    let mut metadata = file.metadata().clone();
    change(&mut metadata);
    let tensors: Vec<GgufTensor> = file
        .tensors()
        .iter()
        .map(|(name, info)| GgufTensor { name: name.clone(), shape: info.shape.clone() })
        .collect();
    gguf::write(&path, &metadata, &tensors, GgufFormat::Q8_0, |tensor| file.tensor(&tensor.name)).unwrap();
    let checked = GgufFile::open(&path).unwrap().check();
    let opened = Model::open(&path);
    // What engines are told before they read a file is what is wrong with it here too.
    if let (Err(checked), Err(opened)) = (&checked, &opened) {
        assert_eq!(checked.to_string(), opened.to_string());
    }
    checked.and(opened)
}

fn refused(change: impl FnOnce(&mut Metadata)) -> String {
    let error = opened(change).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("changed.gguf"), "{text}");
    text
}

fn list<'m>(metadata: &'m mut Metadata, key: &str) -> &'m mut Vec<Value> {
    match metadata.0.get_mut(key).unwrap() {
        Value::Array(values) => values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_is_good_before_it_is_changed() {
    opened(|_| {}).unwrap();
}

#[test]
fn numbers_out_of_their_ranges_are_refused() {
    let huge = Value::U32(u32::MAX);
    for (key, value, said) in [
        ("block_count", Value::U32(0), "it is 0, where 1 to 512"),
        ("block_count", huge.clone(), "it is 4294967295, where 1 to 512"),
        ("block_count", Value::U64(u64::MAX), "it is 18446744073709551615"),
        ("context_length", Value::U32(0), "it is 0"),
        ("context_length", huge.clone(), "it is 4294967295"),
        ("embedding_length", huge.clone(), "it is 4294967295"),
        ("feed_forward_length", huge.clone(), "it is 4294967295"),
        ("attention.head_count", Value::U32(0), "it is 0"),
        ("attention.head_count", Value::U32(7), "7 heads"),
        ("attention.head_count_kv", Value::U32(3), "no multiple of 3"),
        ("attention.key_length", Value::U32(0), "it is 0"),
        ("rope.dimension_count", Value::U32(15), "it is 15"),
        ("attention.layer_norm_rms_epsilon", Value::F32(f32::NAN), "it is NaN, where a number from 0 to 1"),
        ("attention.layer_norm_rms_epsilon", Value::F32(-1.0), "it is -1"),
        ("attention.layer_norm_rms_epsilon", Value::F32(f32::INFINITY), "it is inf"),
        ("rope.freq_base", Value::F32(f32::NAN), "it is NaN, where a number above 0"),
        ("rope.freq_base", Value::F32(0.0), "it is 0"),
        ("rope.scaling.type", Value::String("spiral".into()), "it is `spiral`"),
        ("expert_count", huge, "it is 4294967295"),
        ("expert_used_count", Value::U32(2), "2 of 0 experts"),
        ("block_count", Value::String("two".into()), "no whole number"),
    ] {
        let key = format!("llama.{key}");
        let text = refused(|metadata| {
            metadata.0.insert(key.clone(), value);
        });
        assert!(text.contains(&key) && text.contains(said), "{key}: {text}");
    }
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    let key = "tokenizer.ggml.tokens";
    let equal = refused(|metadata| {
        let tokens = list(metadata, key);
        tokens[7] = tokens[9].clone();
    });
    assert!(equal.contains("tokens 7 and 9 are both"), "{equal}");
    let none = refused(|metadata| list(metadata, key).clear());
    assert!(none.contains("0 tokens"), "{none}");
    let types = refused(|metadata| {
        list(metadata, "tokenizer.ggml.token_type").pop();
    });
    assert!(types.contains("entries for"), "{types}");
    let long = refused(|metadata| list(metadata, key)[3] = Value::String("a".repeat(5000)));
    assert!(long.contains("token 3 has 5000 bytes"), "{long}");
    let pieces = refused(|metadata| {
        metadata.0.insert("tokenizer.ggml.model".into(), Value::String("llama".into()));
    });
    assert!(pieces.contains("tokenizer.ggml.scores") && pieces.contains("missing"), "{pieces}");
    let scores = refused(|metadata| {
        let count = list(metadata, key).len();
        metadata.0.insert("tokenizer.ggml.model".into(), Value::String("llama".into()));
        metadata.0.insert("tokenizer.ggml.scores".into(), Value::Array(vec![Value::F32(f32::NAN); count]));
    });
    assert!(scores.contains("no number"), "{scores}");
}

/// Loads the tokenizer of the tiny Llama with a change.
fn tokenizer(change: impl FnOnce(&mut Json)) -> Result<Tokenizer, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    let mut json: Json =
        serde_json::from_slice(&fs::read(format!("{TINY}/tokenizer.json")).unwrap()).unwrap();
    change(&mut json);
    fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    fs::copy(format!("{TINY}/tokenizer_config.json"), folder.path().join("tokenizer_config.json")).unwrap();
    Tokenizer::from_folder(folder.path())
}

#[test]
fn tokenizers_that_would_take_all_memory_are_refused() {
    type Change = fn(&mut Json);
    let changes: [(Change, &str); 9] = [
        (
            |json| json["model"]["vocab"]["zzz"] = json!(4_000_000_000_u32),
            "`zzz` is 4000000000; it must be below",
        ),
        (|json| json["added_tokens"][0]["id"] = json!(4_000_000_000_u32), "is 4000000000; it must be below"),
        (|json| json["model"]["type"] = json!("Unigram"), "`Unigram`"),
        (|json| json["model"]["dropout"] = json!(0.5), "dropout"),
        (|json| json["model"]["continuing_subword_prefix"] = json!("##"), "continuing_subword_prefix"),
        (|json| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}), "`FixedLength`"),
        (|json| json["decoder"] = json!({"type": "Strip", "content": " ", "start": 0, "stop": 9}), "stop"),
        (
            |json| {
                json["normalizer"] =
                    json!({"type": "Replace", "pattern": {"String": " "}, "content": "x".repeat(5000)});
            },
            "5000 times as long",
        ),
        (
            |json| {
                let ten = json!({"type": "Prepend", "prepend": "0123456789"});
                json["normalizer"] = json!({"type": "Sequence", "normalizers": [ten, ten, ten, ten]});
            },
            "10000 times as long",
        ),
    ];
    for (change, said) in changes {
        let error = tokenizer(change).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json") && error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_tokenizer_neither_fills_up_nor_cuts_a_text() {
    let plain = tokenizer(|_| {}).unwrap();
    let filling = tokenizer(|json| {
        json["padding"] = json!({
            "strategy": {"Fixed": 1_000_000_000_000_u64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "x",
        });
        json["truncation"] =
            json!({"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0});
    })
    .unwrap();
    let text = "Some words, and more of them.";
    assert_eq!(filling.encode_document(text), plain.encode_document(text));
}

#[test]
fn configurations_out_of_their_ranges_are_refused() {
    let text = fs::read_to_string(format!("{TINY}/config.json")).unwrap();
    for (field, value, said) in [
        ("num_hidden_layers", json!(4_000_000_000_u32), "the number of layers is 4000000000"),
        ("num_hidden_layers", json!(0), "the number of layers is 0"),
        ("max_position_embeddings", json!(4_000_000_000_u32), "the context length is 4000000000"),
        ("rms_norm_eps", json!(-1e-5), "rms_norm_eps is -0.00001"),
        ("rms_norm_eps", json!(1e30), "rms_norm_eps is 1"),
        ("rope_theta", json!(0.0), "(rope_theta) is 0"),
        ("rope_theta", json!(1e300), "(rope_theta) is 1"),
        (
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}),
            "high_freq_factor 4 is not above 4",
        ),
    ] {
        let mut json: Json = serde_json::from_str(&text).unwrap();
        json.as_object_mut().unwrap().remove("rope_parameters");
        json[field] = value;
        let error =
            lancer_model::Config::from_json(Path::new("a/config.json"), &json.to_string()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("a/config.json") && error.contains(said), "{field}: {error}");
    }
}

#[test]
fn chat_templates_that_would_take_all_memory_are_refused() {
    let cycle = "{% set n = namespace() %}{% set n.x = n %}";
    let doubled =
        "{% set n = namespace(s='ha') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
    for source in [
        format!("{cycle}{{{{ n }}}}"),
        format!("{cycle}{{{{ n|string }}}}"),
        format!("{cycle}{{{{ n|tojson }}}}"),
        format!("{cycle}{{{{ n == n.x }}}}"),
        format!("{cycle}{{{{ [n]|sort|list }}}}"),
        format!("{doubled}{{{{ n.s }}}}"),
        "{{ [1, 2]|tojson(indent=99999) }}".into(),
        "{% set s = 'x' * 60000 %}{{ range(60000)|list|tojson(separators=[s, s]) }}".into(),
        "{{ strftime_now('%Y' * 9999) }}".into(),
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".into(),
        "{% set s = 'a ' * 9999999 %}{{ s.rsplit(' ')|length }}".into(),
        "{% set s = 'a ' * 4999999 %}{{ s.split(' ')|length }}{{ s|list|length }}".into(),
    ] {
        let chat = [lancer_core::Message::user("Hello")];
        let chat = ChatInput::new(&chat, GenerationPrompt::Open);
        let rendered = ChatTemplate::new(&source, "", "").and_then(|template| template.render(&chat));
        let error = rendered.map(|chat| chat.text.len()).expect_err(&source).to_string();
        assert!(error.contains("template"), "{source}: {error}");
    }
}
