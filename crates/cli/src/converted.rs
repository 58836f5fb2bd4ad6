//! A model in the form that an engine loads: itself, or written anew into the system's folder for temporary files.

use std::{
    error::Error,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use lancer_backend::BackendError;

/// A model as a GGUF file: itself, or a folder's.
#[cfg(feature = "llama-cpp")]
pub(crate) fn as_gguf(model: &Path) -> Result<PathBuf, BackendError> {
    use lancer_backend::WeightFormat;

    if !model.is_dir() {
        return Ok(model.into());
    }
    once(model, &(), "gguf", &|to| crate::engines::import(model, to, WeightFormat::Half))
}

/// A model as an ONNX folder: itself, or a GGUF file's or a Hugging Face folder's in the form given.
#[cfg(feature = "onnx")]
pub(crate) fn as_onnx(model: &Path, form: &lancer_onnx::ExportSettings) -> Result<PathBuf, BackendError> {
    use lancer_model::Model;
    use lancer_onnx::{export, is_onnx};

    if is_onnx(model) {
        return Ok(model.into());
    }
    once(model, form, "onnx", &|to| {
        let opened = Model::open(model)?;
        Ok(export(&opened, &opened, to, form)?)
    })
}

/// A conversion failed.
type ConvertError = Box<dyn Error + Send + Sync>;

/// What `write` makes of a model, once for each state of its files and each form.
fn once(
    model: &Path,
    form: &impl Hash,
    ending: &str,
    write: &dyn Fn(&Path) -> Result<(), ConvertError>,
) -> Result<PathBuf, BackendError> {
    let failed = |source: ConvertError| BackendError::Load { path: model.into(), source };
    let folder = std::env::temp_dir().join("lancer-converted");
    fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
    let state = state(model, form).map_err(|error| failed(error.into()))?;
    let to = folder.join(format!("{state:016x}.{ending}"));
    if !to.exists() {
        write(&to).map_err(failed)?;
    }
    Ok(to)
}

/// A number for a model's path, for when its files were last written, and for what is made of them.
fn state(model: &Path, form: &impl Hash) -> std::io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    form.hash(&mut hasher);
    std::path::absolute(model)?.hash(&mut hasher);
    let mut files = if model.is_dir() {
        fs::read_dir(model)?
            .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?))))
            .collect::<std::io::Result<Vec<_>>>()?
    } else {
        vec![(model.file_name().unwrap_or_default().to_owned(), fs::metadata(model)?)]
    };
    files.sort_by(|one, two| one.0.cmp(&two.0));
    for (name, about) in files {
        (name, about.len(), about.modified().ok()).hash(&mut hasher);
    }
    Ok(hasher.finish())
}
