//! A Hugging Face folder as the GGUF file that llama.cpp loads.

use std::{
    error::Error,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use lancer_backend::{BackendError, WeightFormat};

use crate::engines::import;

/// A model as a GGUF file: itself, or a folder's written into the system's folder for temporary files, once for each state
/// of the folder.
pub(crate) fn as_gguf(model: &Path) -> Result<PathBuf, BackendError> {
    if !model.is_dir() {
        return Ok(model.into());
    }
    let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: model.into(), source };
    let folder = std::env::temp_dir().join("lancer-converted");
    std::fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
    let to = folder.join(format!("{:016x}.gguf", state(model).map_err(|error| failed(error.into()))?));
    if !to.exists() {
        import(model, &to, WeightFormat::Half).map_err(failed)?;
    }
    Ok(to)
}

/// A number for a folder's path and for when its files were last written.
fn state(folder: &Path) -> std::io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    std::path::absolute(folder)?.hash(&mut hasher);
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            let about = entry.metadata()?;
            Ok((entry.file_name(), about.len(), about.modified().ok()))
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    files.hash(&mut hasher);
    Ok(hasher.finish())
}
