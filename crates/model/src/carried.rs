//! Files of a model's folder that do not change with its weights, carried over into a folder that is written from it.

use std::{fs, io, path::Path};

use serde_json::{Map, Value};

use crate::{ModelError, chat_template::ADDITIONAL_TEMPLATES, json_file};

/// Whether there was a folder to carry files over from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// Tokenizer, chat template and generation settings are byte for byte the same.
    AsItWas,
    /// The model comes from another kind of file.
    Nothing,
}

/// The files by name; each may be absent.
const FILES: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];

/// Copies the files of `model`, if it is a folder, into `folder`; `to` is named in errors.
pub(crate) fn from(model: &Path, folder: &Path, to: &Path) -> Result<Carried, ModelError> {
    if !model.is_dir() {
        return Ok(Carried::Nothing);
    }
    for name in FILES {
        copy(&model.join(name), &folder.join(name), to)?;
    }
    let templates = model.join(ADDITIONAL_TEMPLATES);
    if templates.is_dir() {
        let within = folder.join(ADDITIONAL_TEMPLATES);
        let failed = |source| ModelError::Io { path: to.into(), action: "write", source };
        fs::create_dir(&within).map_err(failed)?;
        let read = |source| ModelError::Io { path: templates.clone(), action: "read", source };
        for entry in fs::read_dir(&templates).map_err(read)? {
            let entry = entry.map_err(read)?;
            if entry.path().extension().is_some_and(|ending| ending == "jinja") {
                copy(&entry.path(), &within.join(entry.file_name()), to)?;
            }
        }
    }
    Ok(Carried::AsItWas)
}

/// The fields of the `config.json` of a model that is a folder.
pub(crate) fn config(model: &Path) -> Result<Option<Map<String, Value>>, ModelError> {
    if !model.is_dir() {
        return Ok(None);
    }
    let path = model.join("config.json");
    match json_file::read(&path)? {
        // It was there when the model was opened.
        None => Err(ModelError::Io { path, action: "read", source: io::ErrorKind::NotFound.into() }),
        fields => Ok(fields),
    }
}

/// Copies a file's bytes, and not its mode: it may lie in a cache that nobody may write to.
fn copy(from: &Path, to: &Path, named: &Path) -> Result<(), ModelError> {
    match fs::read(from) {
        Ok(bytes) => fs::write(to, bytes).map_err(|source| ModelError::Io {
            path: named.into(),
            action: "write",
            source,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ModelError::Io { path: from.into(), action: "read", source }),
    }
}
