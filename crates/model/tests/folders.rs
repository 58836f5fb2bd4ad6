//! Folders as they are in the world: what is read of them, and what stays as it is in a folder that is written from one.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_model::{ConvertFormat, Head, Model, convert};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The vocabulary of the tiny Llama has this special token, which ends a turn.
const END_OF_TURN: &str = "<|im_end|>";

/// A copy of the tiny Llama that is changed.
struct Variant(TempDir);

impl Variant {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tiny = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-llama"));
        for name in [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "model.safetensors",
        ] {
            fs::copy(tiny.join(name), folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Changes a JSON file, which is made where it is absent.
    fn json(&self, name: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let path = self.path(name);
        let mut json = fs::read(&path).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
        self
    }

    fn without(&self, name: &str) -> &Self {
        fs::remove_file(self.path(name)).unwrap();
        self
    }

    fn open(&self) -> Model {
        Model::open(self.0.path()).unwrap()
    }

    fn refusal(&self) -> String {
        Model::open(self.0.path()).unwrap_err().to_string()
    }
}

/// The number of a token that is in the vocabulary.
fn id(model: &Model, token: &str) -> u32 {
    model.tokenizer().encode(token, lancer_model::SpecialTokens::Recognised)[0]
}

#[test]
fn files_that_do_not_change_are_carried_over_byte_for_byte() {
    let variant = Variant::new();
    variant
        .json("tokenizer_config.json", |json| {
            json["pad_token"] = json!("<|endoftext|>");
            json["padding_side"] = json!("left");
            json["additional_special_tokens"] = json!(["<|im_start|>"]);
        })
        .json("generation_config.json", |json| {
            *json = json!({ "eos_token_id": [1, 2], "temperature": 0.6, "top_k": 20 });
        })
        .json("special_tokens_map.json", |json| json["unk_token"] = json!("<unk>"))
        .json("config.json", |json| json["a_field_of_others"] = json!({ "kept": true }));
    fs::create_dir(variant.path("additional_chat_templates")).unwrap();
    fs::write(variant.path("additional_chat_templates/tool_use.jinja"), "{{ tools }}").unwrap();
    let to = variant.path("written");
    convert(&variant.open(), &to, ConvertFormat::Half).unwrap();
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
    ] {
        assert_eq!(fs::read(to.join(name)).unwrap(), fs::read(variant.path(name)).unwrap(), "{name}");
    }
    let config: Value = serde_json::from_slice(&fs::read(to.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["a_field_of_others"]["kept"], true);
    assert_eq!(config["dtype"], "bfloat16");
    // And once more, through what was written.
    let again = variant.path("again");
    convert(&Model::open(&to).unwrap(), &again, ConvertFormat::F32).unwrap();
    let name = "tokenizer_config.json";
    assert_eq!(fs::read(again.join(name)).unwrap(), fs::read(variant.path(name)).unwrap());
}

#[test]
fn the_end_of_a_turn_is_found_wherever_it_is_named() {
    let plain = Variant::new().open();
    let end = id(&plain, END_OF_TURN);
    let unmarked = |json: &mut Value| {
        for token in json["added_tokens"].as_array_mut().unwrap() {
            if token["content"] == END_OF_TURN {
                token["special"] = json!(false);
            }
        }
    };
    let nameless = |json: &mut Value| {
        json.as_object_mut().unwrap().remove("eos_token");
    };
    let generation = |json: &mut Value| *json = json!({ "eos_token_id": end });
    let variants = [
        ("no tokenizer_config.json", {
            let variant = Variant::new();
            variant.without("tokenizer_config.json").json("generation_config.json", generation);
            variant
        }),
        ("only in special_tokens_map.json", {
            let variant = Variant::new();
            variant.json("tokenizer_config.json", nameless).json("special_tokens_map.json", |json| {
                json["eos_token"] = json!({ "content": END_OF_TURN });
            });
            variant
        }),
        ("only in config.json", {
            let variant = Variant::new();
            variant
                .json("tokenizer_config.json", nameless)
                .json("config.json", |json| json["eos_token_id"] = json!([end, 0]));
            variant
        }),
        ("not marked as special", {
            let variant = Variant::new();
            variant.json("tokenizer.json", unmarked).json("generation_config.json", generation);
            variant
        }),
    ];
    for (what, variant) in variants {
        let model = variant.open();
        assert!(model.tokenizer().ends(end), "{what}");
        assert_eq!(model.tokenizer().end_of_turn(), end, "{what}");
        // The rule is the same for the GGUF file that is written of it.
        let gguf = variant.path("written.gguf");
        convert(&model, &gguf, ConvertFormat::Half).unwrap();
        let written = Model::open(&gguf).unwrap();
        assert_eq!(written.tokenizer().end_tokens(), model.tokenizer().end_tokens(), "{what}");
        assert_eq!(written.tokenizer().end_of_turn(), end, "{what}");
    }
    let variant = Variant::new();
    variant.json("tokenizer_config.json", nameless).json("config.json", |json| {
        json.as_object_mut().unwrap().remove("eos_token_id");
    });
    assert!(variant.refusal().contains("eos_token_id in generation_config.json"), "{}", variant.refusal());
}

#[test]
fn all_end_tokens_of_generation_config_count() {
    let variant = Variant::new();
    variant.json("generation_config.json", |json| *json = json!({ "eos_token_id": [7, 8, 9, 100_000] }));
    let model = variant.open();
    let folder = variant.path("folder");
    let gguf = variant.path("written.gguf");
    convert(&model, &gguf, ConvertFormat::F32).unwrap();
    convert(&Model::open(&gguf).unwrap(), &folder, ConvertFormat::F32).unwrap();
    for model in [model, Model::open(&gguf).unwrap(), Model::open(&folder).unwrap()] {
        assert!([7, 8, 9].into_iter().all(|id| model.tokenizer().ends(id)), "{}", model.path().display());
        assert!(!model.tokenizer().ends(100_000) && !model.tokenizer().ends(10));
    }
}

/// Adds a head to the weights: the embedding's bytes, changed by `change`.
fn with_head(variant: &Variant, change: impl FnOnce(&mut Vec<u8>)) {
    let path = variant.path("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let embedding = read.tensor("model.embed_tokens.weight").unwrap();
    let mut head = embedding.data().to_vec();
    change(&mut head);
    let head = TensorView::new(embedding.dtype(), embedding.shape().to_vec(), &head).unwrap();
    let tensors = read.tensors().into_iter().chain([("lm_head.weight".to_owned(), head)]);
    let written = safetensors::serialize(tensors, None).unwrap();
    fs::write(path, written).unwrap();
}

#[test]
fn the_token_that_fills_up_a_batch_survives_gguf() {
    let variant = Variant::new();
    variant.json("tokenizer_config.json", |json| json["pad_token"] = json!("<|endoftext|>"));
    let (gguf, back) = (variant.path("written.gguf"), variant.path("back"));
    convert(&variant.open(), &gguf, ConvertFormat::F32).unwrap();
    convert(&Model::open(&gguf).unwrap(), &back, ConvertFormat::F32).unwrap();
    let config: Value =
        serde_json::from_slice(&fs::read(back.join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!((&config["pad_token"], &config["eos_token"]), (&json!("<|endoftext|>"), &json!(END_OF_TURN)));
}

#[test]
fn the_head_of_the_file_is_used_where_it_is_another_than_the_embedding() {
    let tied = |json: &mut Value| json["tie_word_embeddings"] = json!(true);
    let (embedding, head) = ("model.embed_tokens.weight", "lm_head.weight");
    let variant = Variant::new();
    variant.json("config.json", tied);
    // Each weight with the other sign.
    with_head(&variant, |bytes| bytes.iter_mut().skip(3).step_by(4).for_each(|byte| *byte ^= 0x80));
    let model = variant.open();
    assert_eq!(model.config().head, Head::Separate);
    assert_ne!(model.tensor(head).unwrap().data, model.tensor(embedding).unwrap().data);
    // Written and read again it stays so.
    let to = variant.path("written");
    convert(&model, &to, ConvertFormat::F32).unwrap();
    let written = Model::open(&to).unwrap();
    assert_eq!(written.tensor(head).unwrap().data, model.tensor(head).unwrap().data);

    let same = Variant::new();
    same.json("config.json", tied);
    with_head(&same, |_| {});
    let model = same.open();
    assert_eq!(model.config().head, Head::Tied);
    assert!(model.unused_tensors().is_empty(), "{:?}", model.unused_tensors());
}

#[test]
fn tensors_that_the_configuration_does_not_ask_for_are_named() {
    let variant = Variant::new();
    let layers = variant.open().config().layers;
    variant.json("config.json", |json| json["num_hidden_layers"] = json!(layers - 1));
    let unused = variant.open().unused_tensors();
    let last = format!("model.layers.{}.", layers - 1);
    assert!(!unused.is_empty() && unused.iter().all(|name| name.starts_with(&last)), "{unused:?}");
}

#[test]
fn the_whole_file_comes_before_an_index_that_is_left_over() {
    let variant = Variant::new();
    variant.json("model.safetensors.index.json", |json| {
        *json = json!({ "weight_map": { "model.norm.weight": "model-00001-of-00002.safetensors" } });
    });
    variant.open();
}

#[test]
fn a_tokenizer_that_is_larger_than_the_embedding_is_refused() {
    let variant = Variant::new();
    let rows = variant.open().config().vocab_size;
    let add = |special: bool| {
        move |json: &mut Value| {
            let token = json!({
                "id": rows, "content": "<extra>", "special": special, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false
            });
            json["added_tokens"].as_array_mut().unwrap().push(token);
        }
    };
    variant.json("tokenizer.json", add(false));
    let refusal = variant.refusal();
    assert!(refusal.contains("<extra>") && refusal.contains(&format!("{rows} rows")), "{refusal}");
    // A special token that no text becomes is harmless; Gemma 3 has one.
    let special = Variant::new();
    special.json("tokenizer.json", add(true));
    special.open();
}

#[test]
fn what_gguf_cannot_hold_is_said() {
    assert!(Variant::new().open().tokenizer().lost_in_gguf().is_empty());
    let variant = Variant::new();
    variant.json("tokenizer.json", |json| {
        json["normalizer"] = json!({ "type": "NFC" });
        json["added_tokens"][0]["lstrip"] = json!(true);
    });
    let lost = variant.open().tokenizer().lost_in_gguf();
    assert!(lost.len() == 2 && lost[0].contains("NFC") && lost[1].contains("lstrip"), "{lost:?}");
}
