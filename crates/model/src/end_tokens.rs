//! Which tokens end the text that a model writes: one rule for every engine.
//!
//! They are the tokenizer's end-of-text token, the token that the chat template sets after a response, those that
//! `generation_config.json` names (or `config.json`, where that has none), and special tokens of a name that ends a turn or a
//! text in the families that there are: not every model's files list all that it was trained to end with.

use std::{fs, path::Path};

use serde::Deserialize;

use crate::ModelError;

/// The texts of special tokens that end a turn or a text, whatever else a model's files say.
const NAMES: [&str; 11] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
    "<|end|>",
    "<|return|>",
    "<EOT>",
];

/// The key under which a GGUF file written by lancer lists all of them, as numbers between commas: llama.cpp has keys for three.
pub(crate) const GGUF_KEY: &str = "lancer.end_token_ids";

/// The keys of GGUF for tokens that end a turn, beside that of the end of the text.
pub(crate) const GGUF_KEYS: [&str; 2] = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// Whether a special token of this text ends a turn or a text.
pub fn is_end_token(text: &str) -> bool {
    NAMES.contains(&text)
}

/// The tokens that a GGUF file names, beside that of the end of the text. `value` gives the text of a key's value.
pub fn end_tokens_of_gguf(value: &dyn Fn(&str) -> Option<String>) -> Vec<u32> {
    let listed = value(GGUF_KEY).unwrap_or_default();
    let keys = GGUF_KEYS.iter().filter_map(|key| value(key));
    let texts: Vec<String> = listed.split(',').map(str::to_owned).chain(keys).collect();
    texts.iter().filter_map(|text| text.trim().parse().ok()).collect()
}

/// One token or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Several(Vec<u32>),
}

/// The part of both files that is used.
#[derive(Deserialize)]
struct Json {
    eos_token_id: Option<Ids>,
}

/// The tokens that the files of a folder name; none where neither file is there.
pub(crate) fn of_folder(folder: &Path) -> Result<Vec<u32>, ModelError> {
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|source| ModelError::Io {
            path: path.clone(),
            action: "read",
            source,
        })?;
        let json: Json = serde_json::from_str(&text)
            .map_err(|error| ModelError::Config { path: path.clone(), reason: error.to_string() })?;
        match json.eos_token_id {
            Some(Ids::One(id)) => return Ok(vec![id]),
            Some(Ids::Several(ids)) => return Ok(ids),
            None => {}
        }
    }
    Ok(Vec::new())
}
