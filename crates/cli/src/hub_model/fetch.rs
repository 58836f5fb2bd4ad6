//! Fetching with the crate `hf-hub`, which shares its cache with Hugging Face's Python packages.

use std::{
    env,
    path::{Path, PathBuf},
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError},
};

use super::{Files, HubModel};
use crate::failure::Failure;

/// The variable that forbids the network, as in Hugging Face's Python packages.
const OFFLINE: &str = "HF_HUB_OFFLINE";

/// How often a download that breaks off is gone on with.
const RETRIES: usize = 5;

/// Gets the files. `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE` and the token of `hf auth login` count.
pub(super) fn fetch(model: &HubModel, files: Files) -> Result<PathBuf, Failure> {
    let is_offline =
        env::var(OFFLINE).is_ok_and(|value| matches!(value.as_str(), "1" | "true" | "True" | "ON" | "YES"));
    if is_offline {
        let folder = cached(model);
        return folder.ok_or_else(|| {
            Failure::usage(format!(
                "{} is not in the cache {}, and {OFFLINE} forbids the network: fetch it where there is one, or give its folder with --model",
                model.repository,
                Cache::from_env().path().display()
            ))
        });
    }
    match download(model, files) {
        Ok(folder) => Ok(folder),
        Err(error) => match cached(model) {
            // What is there is used, and said.
            Some(folder) if !answered(&error) => {
                errln!("the hub cannot be reached ({error}): {} is taken from the cache", model.repository);
                Ok(folder)
            }
            _ => Err(Failure::failed(format!(
                "there is no file or folder {name}, and no model of this name can be had from the Hugging Face hub: {error}; look at the name and the revision `{revision}`, log in with `hf auth login` where it is not public, or fetch it elsewhere and give its folder with --model",
                name = model.repository,
                revision = model.revision,
            ))),
        },
    }
}

/// The model's folder in the cache, where it was fetched before.
fn cached(model: &HubModel) -> Option<PathBuf> {
    let file = Cache::from_env().repo(repository(model, &model.revision)).get("tokenizer_config.json")?;
    file.parent().map(Path::to_owned)
}

fn download(model: &HubModel, files: Files) -> Result<PathBuf, ApiError> {
    let api = ApiBuilder::from_env().with_progress(false).with_retries(RETRIES).build()?;
    let info = api.repo(repository(model, &model.revision)).info()?;
    let pinned = api.repo(repository(model, &info.sha));
    let mut folder = None;
    let names: Vec<&str> = info.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    for name in names.iter().filter(|name| is_wanted(name, files, &names)) {
        errln!("{}@{}: {name}", model.repository, &info.sha[..info.sha.len().min(8)]);
        let file = pinned.get(name)?;
        if !name.contains('/') {
            folder = file.parent().map(Path::to_owned);
        }
    }
    // The name that it was asked for by leads to the commit, when there is no network.
    let by_name = Cache::from_env().repo(repository(model, &model.revision));
    if by_name.create_ref(&info.sha).is_err() {
        errln!("note: the cache does not keep which commit `{}` is", model.revision);
    }
    folder.ok_or_else(|| {
        ApiError::IoError(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the repository has none of the files of a model (config.json, tokenizer.json, *.safetensors)",
        ))
    })
}

fn repository(model: &HubModel, revision: &str) -> Repo {
    Repo::with_revision(model.repository.clone(), RepoType::Model, revision.into())
}

/// Whether a file is one that lancer reads.
fn is_wanted(name: &str, files: Files, all: &[&str]) -> bool {
    const DESCRIPTIONS: [&str; 7] = [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "chat_template.json",
    ];
    if DESCRIPTIONS.contains(&name) || name.starts_with("additional_chat_templates/") {
        return true;
    }
    let is_weights = name.ends_with(".safetensors") || name == "model.safetensors.index.json";
    // Weights of other forms lie in folders, or beside those that the model's name belongs to.
    let has_shards = all.contains(&"model.safetensors.index.json");
    let is_ours =
        !name.contains('/') && (name == "model.safetensors" || (has_shards && name.starts_with("model")));
    files == Files::All && is_weights && is_ours
}

/// Whether the hub answered, so that what is in the cache is no way out.
fn answered(error: &ApiError) -> bool {
    let text = error.to_string();
    ["401", "403", "404"].iter().any(|status| text.contains(status))
}
