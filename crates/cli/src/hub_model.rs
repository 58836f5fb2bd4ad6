//! Models by their names on the Hugging Face hub: `OWNER/NAME`, `OWNER/NAME@REVISION`, `hf://OWNER/NAME`.

#[cfg_attr(feature = "hub", path = "hub_model/fetch.rs")]
#[cfg_attr(not(feature = "hub"), path = "hub_model/absent.rs")]
mod fetch;

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Whether a model's weights are wanted. Servers that run it need none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// All that engines and training read.
    All,
    /// Tokenizer, chat template and configuration.
    WithoutWeights,
}

/// The revision of a model that is named without one.
const MAIN: &str = "main";

/// A model on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HubModel {
    /// `OWNER/NAME`.
    repository: String,
    /// A branch, tag or commit.
    revision: String,
}

/// The folder of a model: what is at the path, else, where it is a name on the hub, a folder of its files in Hugging Face's cache
/// (`HF_HOME`), fetched unless they are there. The folder's name is the commit, so that what a run records is that revision.
pub(crate) fn local(model: &Path, files: Files) -> Result<PathBuf, Failure> {
    match HubModel::named(model) {
        Some(named) => fetch::fetch(&named, files),
        None => Ok(model.to_owned()),
    }
}

/// Whether `kept`, the model that a run has recorded, is the one that `asked` names without a revision: the run keeps its own.
pub(crate) fn is_kept(asked: &Path, kept: &Path) -> bool {
    let Some(named) = HubModel::named(asked).filter(|named| named.revision == MAIN) else { return false };
    let folder = format!("models--{}", named.repository.replace('/', "--"));
    kept.components().any(|part| part.as_os_str() == folder.as_str()) && kept.exists()
}

impl HubModel {
    /// The model that a path names, if nothing is there.
    fn named(path: &Path) -> Option<Self> {
        let text = path.to_str()?;
        let name = match text.strip_prefix("hf://") {
            Some(name) => name.strip_prefix("models/").unwrap_or(name),
            None if path.exists() || path.is_absolute() => return None,
            None => text,
        };
        let (repository, revision) = name.split_once('@').unwrap_or((name, MAIN));
        let (owner, own) = repository.split_once('/')?;
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        // A file that is not there stays a file that is not there.
        let is_file = [".gguf", ".safetensors", ".onnx", ".bin"].iter().any(|ending| own.ends_with(ending));
        let is_revision = !revision.is_empty() && !revision.contains("..");
        (is_name(owner) && is_name(own) && is_revision && !is_file)
            .then(|| Self { repository: repository.into(), revision: revision.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let named =
            |text: &str| HubModel::named(Path::new(text)).map(|model| (model.repository, model.revision));
        let found = |repository: &str, revision: &str| Some((repository.to_owned(), revision.to_owned()));
        assert_eq!(named("Qwen/Qwen2.5-7B-Instruct"), found("Qwen/Qwen2.5-7B-Instruct", "main"));
        assert_eq!(named("Qwen/Qwen2.5-7B@v1"), found("Qwen/Qwen2.5-7B", "v1"));
        assert_eq!(named("hf://Qwen/Qwen2.5-7B"), found("Qwen/Qwen2.5-7B", "main"));
        let kept = std::env::temp_dir().join("models--Qwen--Qwen2.5-7B/snapshots/0123");
        assert!(!is_kept(Path::new("Qwen/Qwen2.5-7B"), &kept), "it is not there");
        for path in
            ["model", "/models/qwen", "./a/b", "../a/b", "a/b/c", "models/m.gguf", "a/b@", "src/engines"]
        {
            assert_eq!(named(path), None, "{path}");
        }
    }
}
