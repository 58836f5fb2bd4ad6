//! The files of a model: its graph, and the folder with its tokenizer and configuration.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::export::SUBFOLDER;

/// The files of a model.
pub(super) struct Files {
    /// The `.onnx` file.
    pub(super) model: PathBuf,
    /// With `config.json` and the tokenizer.
    pub(super) folder: PathBuf,
    /// The longest sequence the model was trained for.
    pub(super) context_length: usize,
    /// Number of tokens in the vocabulary.
    pub(super) vocabulary: usize,
}

/// A folder is not that of a model.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("cannot read {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read as a model's configuration")]
    Config { path: PathBuf, source: serde_json::Error },
    #[error("{path}: {field} is {value}, where 1 to {most} is possible")]
    Range { path: PathBuf, field: &'static str, value: usize, most: usize },
    #[error("{0} has no .onnx file; `lancer convert MODEL FOLDER --to onnx` writes one")]
    None(PathBuf),
    #[error("{folder} has several .onnx files ({names}); name one of them instead of the folder")]
    Several { folder: PathBuf, names: String },
}

/// The most tokens of a vocabulary, and of a context.
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_CONTEXT: usize = 1 << 28;

/// The part of `config.json` that is used.
#[derive(Deserialize)]
struct Config {
    max_position_embeddings: usize,
    vocab_size: usize,
}

/// Whether a path is that of an ONNX file, or of a folder with one (or with one in its subfolder `onnx`).
pub fn is_onnx(path: &Path) -> bool {
    if path.is_dir() { models(path).is_ok_and(|models| !models.is_empty()) } else { has_ending(path) }
}

impl Files {
    pub(super) fn find(path: &Path) -> Result<Self, FilesError> {
        let (model, folder) = if path.is_dir() {
            (the_one_model(path)?, path.to_path_buf())
        } else {
            let parent = path.parent().unwrap_or(Path::new("."));
            let above = parent.parent().filter(|_| !parent.join("config.json").exists());
            (path.to_path_buf(), above.unwrap_or(parent).to_path_buf())
        };
        let path = folder.join("config.json");
        let text =
            fs::read_to_string(&path).map_err(|source| FilesError::Io { path: path.clone(), source })?;
        let config: Config = serde_json::from_str(&text)
            .map_err(|source| FilesError::Config { path: path.clone(), source })?;
        for (field, value, most) in [
            ("vocab_size", config.vocab_size, MAX_VOCABULARY),
            ("max_position_embeddings", config.max_position_embeddings, MAX_CONTEXT),
        ] {
            if !(1..=most).contains(&value) {
                return Err(FilesError::Range { path, field, value, most });
            }
        }
        Ok(Self {
            model,
            folder,
            context_length: config.max_position_embeddings,
            vocabulary: config.vocab_size,
        })
    }
}

/// The only `.onnx` file of a folder, or that called `model.onnx` among several.
fn the_one_model(folder: &Path) -> Result<PathBuf, FilesError> {
    let models = models(folder)?;
    if let [model] = models.as_slice() {
        return Ok(model.clone());
    }
    let whole = models.iter().find(|path| path.file_name().is_some_and(|name| name == "model.onnx"));
    match whole {
        Some(model) => Ok(model.clone()),
        None if models.is_empty() => Err(FilesError::None(folder.into())),
        None => {
            let names: Vec<String> = models.iter().map(|path| path.display().to_string()).collect();
            Err(FilesError::Several { folder: folder.into(), names: names.join(", ") })
        }
    }
}

/// The `.onnx` files of a folder and of its subfolder `onnx`, in order.
fn models(folder: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let mut models = Vec::new();
    for place in [folder.to_path_buf(), folder.join(SUBFOLDER)] {
        if !place.is_dir() {
            continue;
        }
        let failed = |source| FilesError::Io { path: place.clone(), source };
        for entry in fs::read_dir(&place).map_err(failed)? {
            models.push(entry.map_err(failed)?.path());
        }
    }
    models.retain(|path| has_ending(path));
    models.sort();
    Ok(models)
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "onnx") && !path.is_dir()
}
