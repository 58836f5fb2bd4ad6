//! Hugging Face folders: what stands beside the weights, whatever form those have.

use std::{fs, io, path::Path};

use lancer_output::{Existing, Place};
use serde_json::json;

use crate::{
    Head, Model, ModelError, Tokenizer,
    carried::{self, Carried},
    chat_template::ADDITIONAL_TEMPLATES,
};

/// What a folder's `config.json` says that its weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FolderType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
}

impl FolderType {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }
}

/// Writes a folder with `model`'s configuration, tokenizer and chat template (byte for byte, where it comes from a folder), and with what `weights` writes into it: the
/// folder it is given, which has the name `to` only when it is whole. Nothing that exists is replaced but an empty folder.
pub fn write_folder(
    model: &Model,
    to: &Path,
    kind: FolderType,
    weights: &mut dyn FnMut(&Path) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    write_text_files(model, to, &mut |folder| {
        let path = folder.join("config.json");
        fs::write(&path, pretty(&config(model, kind)?)).map_err(|source| failed(to, source))?;
        weights(folder)
    })
}

/// Writes a folder with `model`'s tokenizer and chat template, and with what `others` writes into it, as [`write_folder`].
pub(crate) fn write_text_files(
    model: &Model,
    to: &Path,
    others: &mut dyn FnMut(&Path) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    Place::folder(to, Existing::Kept)?.write(|folder| {
        fs::create_dir(folder).map_err(|source| failed(to, source))?;
        let write = |file: &str, text: String| {
            fs::write(folder.join(file), text).map_err(|source| failed(to, source))
        };
        if carried::from(model.base_path(), folder, to)? == Carried::AsItWas {
            return others(folder);
        }
        let tokenizer = model.tokenizer();
        write("tokenizer.json", tokenizer.to_json(to)?)?;
        write("generation_config.json", pretty(&generation_config(tokenizer)))?;
        write("tokenizer_config.json", pretty(&tokenizer.to_config_json(model.config().context_length)))?;
        if let Some(template) = model.chat_template() {
            write("chat_template.jinja", template.source().into())?;
            for (place, (name, text)) in template.additional().enumerate() {
                // It becomes a file's name, and comes from a file that anybody may have written.
                if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)) {
                    let reason = format!(
                        "a chat template has the name `{name}`; a name has letters, digits, _ and - only"
                    );
                    return Err(ModelError::Config { path: model.path().into(), reason });
                }
                if place == 0 {
                    fs::create_dir(folder.join(ADDITIONAL_TEMPLATES)).map_err(|source| failed(to, source))?;
                }
                write(&format!("{ADDITIONAL_TEMPLATES}/{name}.jinja"), text.into())?;
            }
        }
        others(folder)
    })
}

fn failed(to: &Path, source: io::Error) -> ModelError {
    ModelError::Io { path: to.into(), action: "write", source }
}

fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

/// A `config.json`: the one of the folder that the model comes from, with the type of the weights that are written; else one of
/// the fields that lancer knows.
fn config(model: &Model, kind: FolderType) -> Result<serde_json::Value, ModelError> {
    let dtype = [
        ("dtype", json!(kind.name())),
        // The name that it had before transformers 4.56.
        ("torch_dtype", json!(kind.name())),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    if let Some(mut fields) = carried::config(model.base_path())? {
        fields.extend(dtype);
        fields.insert("tie_word_embeddings".into(), json!(model.config().head == Head::Tied));
        // The weights are written without it.
        fields.remove("quantization_config");
        return Ok(fields.into());
    }
    let tokenizer = model.tokenizer();
    let mut fields = model.config().to_json();
    fields.extend(dtype);
    fields.insert("bos_token_id".into(), json!(tokenizer.beginning_of_text()));
    fields.insert("eos_token_id".into(), ends(tokenizer));
    Ok(fields.into())
}

fn generation_config(tokenizer: &Tokenizer) -> serde_json::Value {
    json!({ "bos_token_id": tokenizer.beginning_of_text(), "eos_token_id": ends(tokenizer) })
}

/// The token or the tokens that end what the model writes.
fn ends(tokenizer: &Tokenizer) -> serde_json::Value {
    match tokenizer.end_tokens() {
        [one] => json!(one),
        several => json!(several),
    }
}
