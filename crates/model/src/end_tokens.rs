//! Which tokens end the text that a model writes: one rule for every engine.
//!
//! They are the tokenizer's end-of-text token, the token that the chat template sets after a response, and those that
//! `generation_config.json` names (or `config.json`, where that has none). A GGUF file has no such list, unless lancer wrote it: there
//! its keys for the ends of a turn count, and special tokens of a name that ends a turn or a text in the families that there are.

use std::path::Path;

use serde::Deserialize;

use crate::{ModelError, json_file};

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

/// The tokens that a model's files name as ends, beside that of the end of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEnds {
    /// Their numbers, of which some may not be in the vocabulary.
    pub ids: Vec<u32>,
    is_complete: bool,
}

impl NamedEnds {
    /// What a GGUF file names. `value` gives the text of a key's value.
    pub fn of_gguf(value: &dyn Fn(&str) -> Option<String>) -> Self {
        let numbers = |text: String| -> Vec<u32> {
            text.split(',').filter_map(|number| number.trim().parse().ok()).collect()
        };
        match value(GGUF_KEY) {
            Some(listed) => Self { ids: numbers(listed), is_complete: true },
            None => Self {
                ids: GGUF_KEYS.iter().filter_map(|key| value(key)).flat_map(numbers).collect(),
                is_complete: false,
            },
        }
    }

    /// What the files of a folder name; nothing where none of them is there.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, ModelError> {
        Ok(Self { ids: of_folder(folder)?, is_complete: true })
    }

    /// Whether a special token of this text ends a turn or a text, though no file says so.
    pub fn has_name(&self, text: &str) -> bool {
        !self.is_complete && NAMES.contains(&text)
    }
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
fn of_folder(folder: &Path) -> Result<Vec<u32>, ModelError> {
    for name in ["generation_config.json", "config.json"] {
        let json: Option<Json> = json_file::read(&folder.join(name))?;
        match json.and_then(|json| json.eos_token_id) {
            Some(Ids::One(id)) => return Ok(vec![id]),
            Some(Ids::Several(ids)) => return Ok(ids),
            None => {}
        }
    }
    Ok(Vec::new())
}
