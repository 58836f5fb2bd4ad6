//! What a `tokenizer.json` may hold: the parts of which the tokenizers of the known families are made, with numbers in their
//! ranges. The library that runs them trusts its file: some parts panic, some take memory by a number in the file.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::Value;

use crate::gguf::{MAX_TOKEN_BYTES, MAX_TOKENS};

/// By so much a text may grow before it is cut: each replacement of each character multiplies.
const MAX_GROWTH: usize = 1024;

const NORMALIZERS: [&str; 11] = [
    "Sequence",
    "Replace",
    "Prepend",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "Strip",
    "StripAccents",
    "ByteLevel",
];
const PRE_TOKENIZERS: [&str; 8] =
    ["Sequence", "ByteLevel", "Split", "Digits", "Metaspace", "Punctuation", "Whitespace", "WhitespaceSplit"];
const DECODERS: [&str; 7] =
    ["Sequence", "ByteLevel", "ByteFallback", "Fuse", "Metaspace", "Replace", "Strip"];

/// The part of a `tokenizer.json` that is looked at.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    decoder: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u64,
    content: String,
}

#[derive(Deserialize)]
struct Model {
    r#type: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    vocab: Vocabulary,
}

/// What is looked at of a vocabulary.
#[derive(Default)]
struct Vocabulary {
    tokens: usize,
    highest: Option<(String, u64)>,
    longest: usize,
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabularyVisitor)
    }
}

struct VocabularyVisitor;

impl<'de> Visitor<'de> for VocabularyVisitor {
    type Value = Vocabulary;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tokens and their numbers, as byte-pair tokenizers have it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
        let mut vocabulary = Vocabulary::default();
        while let Some((token, id)) = map.next_entry::<String, u64>()? {
            vocabulary.tokens += 1;
            vocabulary.longest = vocabulary.longest.max(token.len());
            if vocabulary.highest.as_ref().is_none_or(|(_, highest)| id > *highest) {
                vocabulary.highest = Some((token, id));
            }
        }
        Ok(vocabulary)
    }
}

/// Says what of a `tokenizer.json` cannot be used.
pub(super) fn check(json: &[u8]) -> Result<(), String> {
    let outline: Outline = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let model = &outline.model;
    if let Some(kind) = model.r#type.as_deref().filter(|&kind| kind != "BPE") {
        return Err(format!("`model.type` is `{kind}`; byte-pair tokenizers (`BPE`) can be read"));
    }
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout != 0.0) {
        return Err(format!("`model.dropout` is {dropout}; a text must give the same tokens each time"));
    }
    for (name, affix) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if let Some(affix) = affix.as_deref().filter(|affix| !affix.is_empty()) {
            return Err(format!("`model.{name}` is `{affix}`; tokenizers with one cannot be read"));
        }
    }
    let highest = model.vocab.highest.iter().map(|(token, id)| (token, *id));
    let added = outline.added_tokens.iter().map(|added| (&added.content, added.id));
    if let Some((token, id)) = highest.chain(added).find(|&(_, id)| id >= MAX_TOKENS as u64) {
        let token: String = token.chars().take(40).collect();
        return Err(format!("the number of the token `{token}` is {id}; it must be below {MAX_TOKENS}"));
    }
    let tokens = model.vocab.tokens + outline.added_tokens.len();
    if tokens > MAX_TOKENS {
        return Err(format!("it has {tokens} tokens; at most {MAX_TOKENS} are read"));
    }
    let longest = outline.added_tokens.iter().map(|added| added.content.len()).max().unwrap_or(0);
    let longest = longest.max(model.vocab.longest);
    if longest > MAX_TOKEN_BYTES {
        return Err(format!("a token has {longest} bytes; at most {MAX_TOKEN_BYTES} are read"));
    }
    let mut growth = 1;
    parts("normalizer", outline.normalizer.as_ref(), &NORMALIZERS, &mut growth)?;
    parts("pre_tokenizer", outline.pre_tokenizer.as_ref(), &PRE_TOKENIZERS, &mut growth)?;
    parts("decoder", outline.decoder.as_ref(), &DECODERS, &mut 1)
}

/// Checks the kinds and the numbers of a part and of the parts in it.
fn parts(field: &str, part: Option<&Value>, known: &[&str], growth: &mut usize) -> Result<(), String> {
    let Some(part) = part.filter(|part| !part.is_null()) else { return Ok(()) };
    let kind = part["type"].as_str().ok_or_else(|| format!("`{field}` has no type"))?;
    if !known.contains(&kind) {
        return Err(format!("`{field}` is of the type `{kind}`; known are {}", known.join(", ")));
    }
    for within in ["normalizers", "pretokenizers", "decoders"] {
        for part in part[within].as_array().into_iter().flatten() {
            parts(field, Some(part), known, growth)?;
        }
    }
    let text = |name: &str| part[name].as_str().map_or(0, str::len);
    let times = match kind {
        "Replace" => {
            let replaced = part["pattern"]["String"].as_str().map_or(1, str::len).max(1);
            text("content").div_ceil(replaced)
        }
        "Prepend" => text("prepend"),
        "Strip" if part["stop"].as_u64().is_some_and(|stop| stop > 0) => {
            return Err(format!("`{field}` strips the end of a token (`stop`), which cannot be done"));
        }
        _ => 1,
    };
    *growth = growth.saturating_mul(times.max(1));
    if *growth > MAX_GROWTH {
        return Err(format!(
            "`{field}` makes a text up to {growth} times as long; at most {MAX_GROWTH} is possible"
        ));
    }
    Ok(())
}
