//! From the vocabulary in GGUF metadata to a `tokenizer.json`, and back.

mod sentence_piece;

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value as Json, json};

use self::sentence_piece::SpaceBefore;
use crate::{
    ModelError, end_tokens,
    gguf::{Metadata, Value},
};

/// A tokenizer as a GGUF file describes it.
pub(super) struct Described {
    /// The text of a `tokenizer.json`.
    pub(super) json: Vec<u8>,
    pub(super) bos: Option<String>,
    pub(super) eos: Option<String>,
    pub(super) pad: Option<String>,
}

/// The names that [`pre_tokenizer`] knows.
const PRE_TOKENIZERS: [&str; 5] = ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken"];

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
        "tekken" => split(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        _ => return None,
    })
}

/// The kinds of tokenizers in `tokenizer.ggml.model`.
const BYTE_LEVEL: &str = "gpt2";
const SENTENCE_PIECE: &str = "llama";

/// Token types of GGUF: control tokens are special, user-defined ones are kept whole.
const NORMAL: u64 = 1;
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;
const BYTE: u64 = 6;

pub(super) fn describe(path: &Path, metadata: &Metadata) -> Result<Described, ModelError> {
    let wrong = |reason: String| ModelError::Tokenizer { path: path.into(), reason };
    let missing = |key: &str| wrong(format!("the metadata `{key}` is missing"));
    let model =
        metadata.text(path, "tokenizer.ggml.model")?.ok_or_else(|| missing("tokenizer.ggml.model"))?;
    let tokens =
        metadata.texts(path, "tokenizer.ggml.tokens")?.ok_or_else(|| missing("tokenizer.ggml.tokens"))?;
    let types = metadata.counts(path, "tokenizer.ggml.token_type")?.unwrap_or_default();
    let parts = match model {
        BYTE_LEVEL => byte_level(path, metadata)?,
        SENTENCE_PIECE => sentence_pieces(path, metadata, &tokens, &types)?,
        other => {
            return Err(wrong(format!(
                "tokenizers of the kind `{other}` cannot be read; `{BYTE_LEVEL}` (byte-level BPE) and `{SENTENCE_PIECE}` \
                 (SentencePiece) can"
            )));
        }
    };

    let vocab: Map<String, Json> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let added: Vec<Json> = tokens
        .iter()
        .zip(&types)
        .enumerate()
        .filter(|(_, (_, kind))| [UNKNOWN, CONTROL, USER_DEFINED].contains(*kind))
        .map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "special": *kind != USER_DEFINED,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    let mut bpe = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab, "merges": parts.merges,
    });
    parts.model.into_iter().for_each(|(key, value)| bpe[key] = value);
    let key = "tokenizer.ggml.bos_token_id";
    let bos = metadata.count(path, key)?.and_then(|id| Some((id, *tokens.get(usize::try_from(id).ok()?)?)));
    let begins = match metadata.flag(path, "tokenizer.ggml.add_bos_token")? {
        Some(begins) => begins,
        // What llama.cpp takes where nothing is said.
        None => model == SENTENCE_PIECE || metadata.text(path, "tokenizer.ggml.pre")? == Some("llama-bpe"),
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": bos.filter(|_| begins).map(|(id, token)| begin_with(id, token)), "decoder": parts.decoder, "model": bpe,
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
        pad: named("tokenizer.ggml.padding_token_id")?,
    })
}

/// The post-processor that sets a token before a text.
fn begin_with(id: u64, token: &str) -> Json {
    let special = json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    json!({
        "type": "TemplateProcessing",
        "single": [special, text("A")],
        "pair": [special, text("A"), text("B")],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    })
}

/// What a kind of tokenizer puts into a `tokenizer.json`.
struct Parts {
    normalizer: Json,
    pre_tokenizer: Json,
    decoder: Json,
    merges: Vec<String>,
    /// Fields of the model that are not the usual ones.
    model: Vec<(&'static str, Json)>,
}

fn byte_level(path: &Path, metadata: &Metadata) -> Result<Parts, ModelError> {
    let wrong = |reason: String| ModelError::Tokenizer { path: path.into(), reason };
    let pre = metadata.text(path, "tokenizer.ggml.pre")?.unwrap_or("default");
    let pre_tokenizer = pre_tokenizer(pre).ok_or_else(|| {
        let known = PRE_TOKENIZERS.join(", ");
        wrong(format!("the pre-tokenizer `{pre}` is not known; known are default, {known}"))
    })?;
    let merges = metadata
        .texts(path, "tokenizer.ggml.merges")?
        .ok_or_else(|| wrong("the metadata `tokenizer.ggml.merges` is missing".into()))?;
    Ok(Parts {
        normalizer: Json::Null,
        pre_tokenizer,
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        merges: merges.into_iter().map(str::to_owned).collect(),
        // Tokens that are whole words are not cut: so were tiktoken's vocabularies made.
        model: vec![("ignore_merges", json!(["llama-bpe", "tekken"].contains(&pre)))],
    })
}

fn sentence_pieces(
    path: &Path,
    metadata: &Metadata,
    tokens: &[&str],
    types: &[u64],
) -> Result<Parts, ModelError> {
    let wrong = |reason: String| ModelError::Tokenizer { path: path.into(), reason };
    let key = "tokenizer.ggml.scores";
    let scores = metadata.floats(path, key)?.filter(|scores| scores.len() == tokens.len());
    let scores =
        scores.ok_or_else(|| wrong(format!("the metadata `{key}` has not a number for each token")))?;
    let space = match metadata.flag(path, "tokenizer.ggml.add_space_prefix")? {
        None | Some(true) => SpaceBefore::Added,
        Some(false) => SpaceBefore::NotAdded,
    };
    let (normalizer, decoder) = sentence_piece::normalizer_and_decoder(space);
    let can_be_merged = |id: usize| types.get(id).is_none_or(|kind| [NORMAL, USER_DEFINED].contains(kind));
    let merges = sentence_piece::merges(tokens, &scores, can_be_merged).map_err(|bytes| {
        let most = sentence_piece::MAX_MERGE_BYTES;
        wrong(format!(
            "its pieces are made of one another in {bytes} bytes of merges; at most {most} are made"
        ))
    })?;
    let unknown = types.iter().position(|&kind| kind == UNKNOWN).and_then(|id| tokens.get(id));
    let model =
        vec![("byte_fallback", json!(true)), ("fuse_unk", json!(true)), ("unk_token", json!(unknown))];
    Ok(Parts { normalizer, pre_tokenizer: Json::Null, decoder, merges, model })
}

/// A model's special tokens.
#[derive(Clone, Copy)]
pub(super) struct Special<'a> {
    pub(super) bos: Option<u32>,
    pub(super) eos: u32,
    pub(super) end_of_turn: u32,
    pub(super) pad: u32,
    /// All that end a turn or a text, these two among them.
    pub(super) ends: &'a [u32],
    /// Whether a text that is read from its beginning has the first of them.
    pub(super) begins_with_bos: bool,
}

/// The metadata of the tokenizer in the text of a `tokenizer.json`, for an embedding of `rows` rows: llama.cpp asks for as
/// many tokens. Some models have more rows, and a few have tokens without a row.
pub(super) fn entries(
    path: &Path,
    json: &str,
    rows: usize,
    special: Special<'_>,
) -> Result<BTreeMap<String, Value>, ModelError> {
    let Special { bos, eos, end_of_turn, pad, ends, begins_with_bos } = special;
    let wrong = |reason: &str| ModelError::Tokenizer { path: path.into(), reason: reason.into() };
    let json: Json = serde_json::from_str(json).map_err(|error| wrong(&error.to_string()))?;
    let space = sentence_piece::space_before(&json);
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
        let kind = match token["special"].as_bool() {
            _ if space.is_some() && json["model"]["unk_token"].as_str() == Some(content) => UNKNOWN,
            Some(true) => CONTROL,
            _ => USER_DEFINED,
        };
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
            Json::String(merge) => merge.split_once(' '),
            pair => Some((pair[0].as_str()?, pair[1].as_str()?)),
        })
        .collect::<Option<Vec<(&str, &str)>>>()
        .ok_or_else(|| wrong("a merge is no pair"))?;
    let mut entries = BTreeMap::from([
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(eos)),
        ("tokenizer.ggml.eot_token_id".to_owned(), Value::U32(end_of_turn)),
        ("tokenizer.ggml.padding_token_id".to_owned(), Value::U32(pad)),
        ("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(begins_with_bos)),
    ]);
    let listed: Vec<String> = ends.iter().map(u32::to_string).collect();
    entries.insert(end_tokens::GGUF_KEY.into(), Value::String(listed.join(",")));
    if let Some(&other) = ends.iter().find(|&&id| id != eos && id != end_of_turn) {
        entries.insert(end_tokens::GGUF_KEYS[1].into(), Value::U32(other));
    }
    let mut set = |key: &str, value| entries.insert(format!("tokenizer.ggml.{key}"), value);
    if let Some(space) = space {
        for (text, kind) in tokens.values_mut() {
            if *kind == NORMAL && is_byte(text) {
                *kind = BYTE;
            }
        }
        let scores = sentence_piece::scores(merges.into_iter());
        let of = |(text, _): &(&str, u64)| Value::F32(scores.get(*text).copied().unwrap_or(0.0));
        set("model", Value::String(SENTENCE_PIECE.into()));
        set("scores", Value::Array(tokens.values().map(of).collect()));
        set("add_space_prefix", Value::Bool(space == SpaceBefore::Added));
    } else {
        let pre = PRE_TOKENIZERS
            .into_iter()
            .find(|name| pre_tokenizer(name).is_some_and(|known| cuts_alike(&known, &json["pre_tokenizer"])))
            .ok_or_else(|| wrong("GGUF has no name for its pre-tokenizer"))?;
        let merges = merges.into_iter().map(|(left, right)| Value::String(format!("{left} {right}")));
        set("model", Value::String(BYTE_LEVEL.into()));
        set("pre", Value::String(pre.into()));
        set("merges", Value::Array(merges.collect()));
    }
    let texts = tokens.values().map(|(text, _)| Value::String((*text).to_owned())).collect();
    let types = tokens.values().map(|&(_, kind)| Value::I32(kind as i32)).collect();
    entries.insert("tokenizer.ggml.tokens".into(), Value::Array(texts));
    entries.insert("tokenizer.ggml.token_type".into(), Value::Array(types));
    if let Some(bos) = bos {
        entries.insert("tokenizer.ggml.bos_token_id".into(), Value::U32(bos));
    }
    Ok(entries)
}

/// What GGUF has no field for, of a `tokenizer.json`.
pub(super) fn lost(json: &Json) -> Vec<String> {
    let mut lost = Vec::new();
    let normalizers = match &json["normalizer"] {
        Json::Null => Vec::new(),
        one => match one["normalizers"].as_array() {
            Some(several) => several.iter().collect(),
            None => vec![one],
        },
    };
    let of_unicode =
        normalizers.iter().filter_map(|one| one["type"].as_str()).filter(|kind| kind.starts_with("NF"));
    lost.extend(of_unicode.map(|kind| {
        format!(
            "the tokenizer's Unicode normalizer {kind}: llama.cpp reads text that is not in this form, such as letters with \
             separate accents, as other tokens than the model was trained with"
        )
    }));
    for (field, meaning) in [
        ("lstrip", "spaces before it belong to it"),
        ("rstrip", "spaces after it belong to it"),
        ("single_word", "it is found as a whole word alone"),
    ] {
        let tokens = json["added_tokens"].as_array().into_iter().flatten();
        let named: Vec<&str> = tokens
            .filter(|token| token[field] == true)
            .filter_map(|token| token["content"].as_str())
            .collect();
        if let Some(first) = named.first() {
            let others =
                if named.len() > 1 { format!(" and {} more", named.len() - 1) } else { String::new() };
            lost.push(format!("`{field}` of the token `{first}`{others} ({meaning})"));
        }
    }
    lost
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

/// Whether a piece stands for a byte, such as `<0x0A>`.
fn is_byte(piece: &str) -> bool {
    super::alphabet::fallback_byte(piece).is_some()
}
