//! The model that a job starts from: a folder as transformers reads it, with a tokenizer for the job's data.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_model::{ConvertFormat, FolderType, Model, convert, write_folder};

use crate::{error::TrainerError, token_text};

/// Writes the start model's folder, in place of what is there. Weights in safetensors files are linked to, not copied.
pub(crate) fn write(model: &Model, to: &Path) -> Result<(), TrainerError> {
    remove(to)?;
    if model.path().is_dir() {
        linked(model, model.path(), to)?;
    } else {
        convert(model, to, ConvertFormat::F32)?;
    }
    let write = |name: &str, text: String| {
        let path = to.join(name);
        fs::write(&path, text).map_err(TrainerError::io("write", &path))
    };
    for name in ["chat_template.jinja", "additional_chat_templates", lancer_output::FILES] {
        remove(&to.join(name))?;
    }
    write("tokenizer.json", token_text::tokenizer(model.config().vocab_size).to_string())?;
    write("tokenizer_config.json", token_text::tokenizer_config(model).to_string())
}

/// Writes a folder with the configuration, tokenizer and chat template of `model`, and links to the weights in `weights`.
pub(crate) fn linked(model: &Model, weights: &Path, to: &Path) -> Result<(), TrainerError> {
    let files = weight_files(weights)?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    write_folder(model, to, FolderType::F32, &mut |folder| {
        for file in &files {
            let name = file.file_name().unwrap_or_default();
            link(&absolute(file), &folder.join(name)).map_err(|source| lancer_model::ModelError::Io {
                path: file.clone(),
                action: "link to",
                source,
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The safetensors files of a folder, and their index.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, TrainerError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(TrainerError::io("look into", folder))? {
        let path = entry.map_err(TrainerError::io("look into", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_weights = name.starts_with("model") && name.ends_with(".safetensors");
        if is_weights || name == "model.safetensors.index.json" {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Removes a file or folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), TrainerError> {
    let removed =
        if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainerError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
