//! From the vocabulary in GGUF metadata to a `tokenizer.json`, and back.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value as Json, json};

use crate::{
    ModelError,
    gguf::{Metadata, Value},
};

/// A tokenizer as a GGUF file describes it.
pub(super) struct Described {
    /// The text of a `tokenizer.json`.
    pub(super) json: Vec<u8>,
    pub(super) bos: Option<String>,
    pub(super) eos: Option<String>,
}

/// The names that [`pre_tokenizer`] knows.
const PRE_TOKENIZERS: [&str; 4] = ["gpt-2", "smollm", "llama-bpe", "qwen2"];

/// How text is cut before byte pairs are merged, by the name in `tokenizer.ggml.pre`.
fn pre_tokenizer(name: &str) -> Option<Json> {
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |pattern: &str| {
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            byte_level(false),
        ]})
    };
    Some(match name {
        "default" | "gpt-2" => byte_level(true),
        "smollm" => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            byte_level(true),
        ]}),
        "llama-bpe" => split(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        "qwen2" => split(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        _ => return None,
    })
}

/// Token types of GGUF: control tokens are special, user-defined ones are kept whole.
const NORMAL: u64 = 1;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;

pub(super) fn describe(path: &Path, metadata: &Metadata) -> Result<Described, ModelError> {
    let wrong = |reason: String| ModelError::Tokenizer { path: path.into(), reason };
    let missing = |key: &str| wrong(format!("the metadata `{key}` is missing"));
    let model =
        metadata.text(path, "tokenizer.ggml.model")?.ok_or_else(|| missing("tokenizer.ggml.model"))?;
    if model != "gpt2" {
        return Err(wrong(format!(
            "tokenizers of the kind `{model}` cannot be read; `gpt2` (byte-level BPE) can"
        )));
    }
    let pre = metadata.text(path, "tokenizer.ggml.pre")?.unwrap_or("default");
    let pre_tokenizer = pre_tokenizer(pre).ok_or_else(|| {
        wrong(format!(
            "the pre-tokenizer `{pre}` is not known; known are default, gpt-2, smollm, llama-bpe and qwen2"
        ))
    })?;
    let tokens =
        metadata.texts(path, "tokenizer.ggml.tokens")?.ok_or_else(|| missing("tokenizer.ggml.tokens"))?;
    let merges =
        metadata.texts(path, "tokenizer.ggml.merges")?.ok_or_else(|| missing("tokenizer.ggml.merges"))?;
    let types = metadata.counts(path, "tokenizer.ggml.token_type")?.unwrap_or_default();

    let vocab: Map<String, Json> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let added: Vec<Json> = tokens
        .iter()
        .zip(&types)
        .enumerate()
        .filter(|(_, (_, kind))| [CONTROL, USER_DEFINED].contains(*kind))
        .map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "special": *kind == CONTROL,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre == "llama-bpe",
            "vocab": vocab, "merges": merges,
        },
    });
    let named = |key: &str| -> Result<Option<String>, ModelError> {
        let Some(id) = metadata.count(path, key)? else { return Ok(None) };
        let token = usize::try_from(id).ok().and_then(|id| tokens.get(id));
        let token = token
            .ok_or_else(|| wrong(format!("`{key}` is {id}, outside the vocabulary of {}", tokens.len())))?;
        Ok(Some((*token).to_owned()))
    };
    Ok(Described {
        json: json.to_string().into_bytes(),
        bos: named("tokenizer.ggml.bos_token_id")?,
        eos: named("tokenizer.ggml.eos_token_id")?,
    })
}

/// The metadata of the tokenizer in the text of a `tokenizer.json`, for an embedding of `rows` rows: llama.cpp asks for as
/// many tokens. Some models have more rows, and a few have tokens without a row.
pub(super) fn entries(
    path: &Path,
    json: &str,
    rows: usize,
    bos: Option<u32>,
    eos: u32,
) -> Result<BTreeMap<String, Value>, ModelError> {
    let wrong = |reason: &str| ModelError::Tokenizer { path: path.into(), reason: reason.into() };
    let json: Json = serde_json::from_str(json).map_err(|error| wrong(&error.to_string()))?;
    let pre = PRE_TOKENIZERS
        .into_iter()
        .find(|name| pre_tokenizer(name).is_some_and(|known| cuts_alike(&known, &json["pre_tokenizer"])))
        .ok_or_else(|| wrong("GGUF has no name for its pre-tokenizer"))?;
    let vocab = json["model"]["vocab"].as_object().ok_or_else(|| wrong("it is no BPE tokenizer"))?;
    let merges = json["model"]["merges"].as_array().ok_or_else(|| wrong("it is no BPE tokenizer"))?;
    let added = json["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();

    let mut tokens = BTreeMap::new();
    for (token, id) in vocab {
        tokens.insert(
            id.as_u64().ok_or_else(|| wrong("a token's number is no number"))?,
            (token.as_str(), NORMAL),
        );
    }
    for token in added {
        let (Some(id), Some(content)) = (token["id"].as_u64(), token["content"].as_str()) else {
            return Err(wrong("an added token has no number or no text"));
        };
        let kind = if token["special"].as_bool() == Some(true) { CONTROL } else { USER_DEFINED };
        tokens.insert(id, (content, kind));
    }
    if tokens.keys().copied().ne(0..tokens.len() as u64) {
        return Err(wrong("its tokens are not numbered from 0 without a gap"));
    }
    tokens.retain(|&id, _| id < rows as u64);
    let unused: Vec<(u64, String)> =
        (tokens.len()..rows).map(|id| (id as u64, format!("[PAD{id}]"))).collect();
    tokens.extend(unused.iter().map(|(id, text)| (*id, (text.as_str(), UNUSED))));
    let merges = merges
        .iter()
        .map(|merge| match merge {
            Json::String(merge) => Some(merge.clone()),
            pair => Some(format!("{} {}", pair[0].as_str()?, pair[1].as_str()?)),
        })
        .map(|merge| merge.map(Value::String).ok_or_else(|| wrong("a merge is no pair")));
    let mut entries = BTreeMap::from([
        ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".into())),
        ("tokenizer.ggml.pre".to_owned(), Value::String(pre.into())),
        ("tokenizer.ggml.merges".to_owned(), Value::Array(merges.collect::<Result<_, _>>()?)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(eos)),
        ("tokenizer.ggml.padding_token_id".to_owned(), Value::U32(eos)),
        ("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(false)),
    ]);
    let texts = tokens.values().map(|(text, _)| Value::String((*text).to_owned())).collect();
    let types = tokens.values().map(|&(_, kind)| Value::I32(kind as i32)).collect();
    entries.insert("tokenizer.ggml.tokens".into(), Value::Array(texts));
    entries.insert("tokenizer.ggml.token_type".into(), Value::Array(types));
    if let Some(bos) = bos {
        entries.insert("tokenizer.ggml.bos_token_id".into(), Value::U32(bos));
    }
    Ok(entries)
}

/// Whether two pre-tokenizers cut text in the same places: all that matters but `trim_offsets`.
fn cuts_alike(known: &Json, found: &Json) -> bool {
    match (known, found) {
        (Json::Object(known), Json::Object(found)) => known.iter().all(|(key, value)| {
            key == "trim_offsets" || found.get(key).is_some_and(|f| cuts_alike(value, f))
        }),
        (Json::Array(known), Json::Array(found)) => {
            known.len() == found.len()
                && known.iter().zip(found).all(|(known, found)| cuts_alike(known, found))
        }
        _ => known == found,
    }
}
