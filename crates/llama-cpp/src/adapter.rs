//! Checks that a LoRA adapter fits a base, before llama.cpp reads it and says only that it failed.

use std::path::{Path, PathBuf};

use lancer_model::{ModelError, gguf::GgufFile};

/// Why an adapter cannot be used over a base.
#[derive(Debug, thiserror::Error)]
pub enum LlamaCppAdapterError {
    /// It cannot be read.
    #[error("the adapter {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// It is a GGUF file of something else.
    #[error(
        "{path} is no LoRA adapter in GGUF: its general.type is {found}; `adapter` is needed, as \
         convert_lora_to_gguf.py of llama.cpp writes it"
    )]
    NoAdapter {
        /// The file.
        path: PathBuf,
        /// What it says that it is.
        found: String,
    },
    /// It was trained over a model of another kind or size.
    #[error(
        "the adapter {path} belongs to another base: {difference}; give the base that it was trained over"
    )]
    OtherBase {
        /// The file.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// llama.cpp refuses it for a reason that it does not say.
    #[error("llama.cpp cannot use the adapter {path} over this base")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What llama.cpp returned.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Checks the adapter's kind, architecture, and the name and shape of each of its matrices against `base`.
pub(crate) fn check(base: &GgufFile, path: &Path) -> Result<(), LlamaCppAdapterError> {
    let file = GgufFile::open(path)
        .map_err(|source| LlamaCppAdapterError::Unreadable { path: path.into(), source })?;
    let text =
        |file: &GgufFile, key: &str| file.metadata().text(file.path(), key).ok().flatten().map(str::to_owned);
    let kind = text(&file, "general.type");
    if kind.as_deref() != Some("adapter") {
        let found = kind.map_or_else(|| "absent".to_owned(), |kind| format!("`{kind}`"));
        return Err(LlamaCppAdapterError::NoAdapter { path: path.into(), found });
    }
    let other = |difference: String| Err(LlamaCppAdapterError::OtherBase { path: path.into(), difference });
    let architecture = "general.architecture";
    let (of_base, of_adapter) = (text(base, architecture), text(&file, architecture));
    if of_base != of_adapter {
        let name = |name: Option<String>| name.unwrap_or_else(|| "unknown".into());
        return other(format!("its architecture is {}, the base's is {}", name(of_adapter), name(of_base)));
    }
    for (name, tensor) in file.tensors() {
        let Some((target, side)) = name.rsplit_once('.').filter(|(_, side)| side.starts_with("lora_")) else {
            continue;
        };
        let Some(weight) = base.tensors().get(target) else {
            return other(format!("it changes {target}, which the base lacks"));
        };
        // Rows first: A is [rank, inputs], B is [outputs, rank].
        let (place, what) = if side == "lora_a" { (1, "inputs") } else { (0, "outputs") };
        // The embedding is stored as [vocabulary, hidden size] and multiplied the other way round.
        if target == "token_embd.weight" {
            continue;
        }
        if tensor.shape.get(place) != weight.shape.get(place) {
            let size = |shape: &[usize]| shape.get(place).copied().unwrap_or_default();
            return other(format!(
                "its {name} has {} {what}, the base's {target} has {}",
                size(&tensor.shape),
                size(&weight.shape)
            ));
        }
    }
    Ok(())
}
