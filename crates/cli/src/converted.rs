//! A model in the form that an engine loads: itself, or written anew and kept in the user's cache folder.
//!
//! What is made is known by the SHA-256 of what it is made from, so that a model that is moved or copied is not converted
//! again and one that is changed always is. One process makes an entry while others wait for it; nothing that a process uses
//! is removed.

mod entry;
mod folder;
mod source;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use lancer_backend::BackendError;
use lancer_model::{Adapter, AdapterBase, Model};
use lancer_output::{Existing, Place};

use self::source::Source;
pub(crate) use self::{entry::Cleared, folder::CacheFolder};

/// Changed when what is made of a model is made otherwise.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

/// How often an entry is looked for and made, where others remove it in between.
const ATTEMPTS: u32 = 10;

/// A conversion failed.
type ConvertError = Box<dyn Error + Send + Sync>;

/// A model as llama.cpp runs it.
#[cfg(feature = "llama-cpp")]
pub(crate) struct GgufModel {
    /// The file with the model's own weights.
    pub(crate) base: PathBuf,
    /// The GGUF adapter over them, where there is one.
    pub(crate) adapter: Option<PathBuf>,
}

/// A model as GGUF: a file itself, a folder's, or a base and the adapter over it, each in a file of its own.
#[cfg(feature = "llama-cpp")]
pub(crate) fn as_gguf(model: &Path) -> Result<GgufModel, BackendError> {
    if !Adapter::is_at(model) {
        return Ok(GgufModel { base: base_as_gguf(model)?, adapter: None });
    }
    let failed = |source: ConvertError| BackendError::Load { path: model.into(), source };
    let opened = Model::open(model).map_err(|error| failed(error.into()))?;
    let base = base_as_gguf(opened.base_path())?;
    let adapter = once(model, "adapter-gguf", "adapter.gguf", &|_, to| {
        let adapter = opened.adapter().ok_or("the adapter is gone")?;
        Ok(adapter.write_gguf(opened.config(), to)?)
    })?;
    Ok(GgufModel { base, adapter: Some(adapter) })
}

/// A model that is no adapter as a GGUF file.
#[cfg(feature = "llama-cpp")]
fn base_as_gguf(model: &Path) -> Result<PathBuf, BackendError> {
    use lancer_model::{ConvertFormat, convert};

    if !model.is_dir() {
        return Ok(model.into());
    }
    once(model, "gguf-half", "model.gguf", &|place, to| {
        let opened = Model::open(model)?;
        place.with_room(ConvertFormat::Half.bytes(&opened))?;
        Ok(convert(&opened, to, ConvertFormat::Half)?)
    })
}

/// A model as an ONNX folder: itself, or a GGUF file's or a Hugging Face folder's in the form given.
#[cfg(feature = "onnx")]
pub(crate) fn as_onnx(model: &Path, form: &lancer_onnx::ExportSettings) -> Result<PathBuf, BackendError> {
    use lancer_model::ConvertFormat;
    use lancer_onnx::{export, is_onnx};

    if is_onnx(model) {
        return Ok(model.into());
    }
    once(model, &format!("onnx-{form:?}"), "model", &|place, to| {
        let opened = Model::open(model)?;
        // At least: the smallest form has a byte a weight.
        place.with_room(ConvertFormat::Q8_0.bytes(&opened))?;
        Ok(export(&opened, &opened, to, form)?)
    })
}

/// An adapter over this base as a model that names its base: itself where it names this one, else a copy of it that does.
pub(crate) fn adapter_over(base: &Path, adapter: &Path) -> Result<PathBuf, BackendError> {
    let failed = |source: ConvertError| BackendError::Load { path: adapter.into(), source };
    let model = Model::open(base).and_then(|model| model.with_adapter(adapter));
    let model = model.map_err(|error| failed(error.into()))?;
    let note = AdapterBase::of(model.base_path()).map_err(|error| failed(error.into()))?;
    let Some(opened) = model.adapter() else { return Ok(base.into()) };
    if opened.base.as_ref() == Some(&note) {
        return Ok(adapter.into());
    }
    let form = format!("adapter over {} {}", note.path.display(), note.sha256);
    once(adapter, &form, "adapter", &|_, to| {
        let noted = Adapter { base: Some(note.clone()), ..opened.clone() };
        Ok(noted.write_folder(&model, to)?)
    })
}

/// What `write` makes of a model under `name`, once for each content of the model and each form.
fn once(
    model: &Path,
    form: &str,
    name: &str,
    write: &dyn Fn(&Place, &Path) -> Result<(), ConvertError>,
) -> Result<PathBuf, BackendError> {
    let made = || -> Result<PathBuf, ConvertError> {
        let folder = CacheFolder::open()?;
        let source = Source::of(model)?;
        let entry = folder.entry(&source.content(&folder)?, &format!("{VERSION} {form}"));
        for _ in 0..ATTEMPTS {
            if entry.take()? {
                return Ok(entry.path().join(name));
            }
            let Some(_lock) = entry.begin()? else { continue };
            // What is there is not as it was written.
            entry.remove_files()?;
            let place = Place::folder(entry.path(), Existing::Kept)?;
            let scratch = place.begin()?;
            fs::create_dir(scratch.path())?;
            entry::Entry::describe(scratch.path(), model)?;
            write(&place, &scratch.path().join(name))?;
            if Source::of(model)? != source {
                return Err(
                    "it was changed while it was converted; run this again when nothing writes to it".into(),
                );
            }
            scratch.finish()?;
            folder.shrink(Some(&entry))?;
        }
        Err(format!(
            "other processes keep removing {}; set LANCER_CACHE to a folder of your own",
            entry.path().display()
        )
        .into())
    };
    made().map_err(|source| BackendError::Load { path: model.into(), source })
}
