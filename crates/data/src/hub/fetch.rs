//! Fetching with the crate `hf-hub`, which shares its cache with Hugging Face's Python packages.

use std::{error::Error, path::PathBuf};

use hf_hub::{Repo, RepoType, api::sync::ApiBuilder};

use super::HubFile;

/// Fetches a file unless it is in the cache. `HF_ENDPOINT`, `HF_HOME` and the token of `huggingface-cli login` count.
pub(super) fn fetch(file: &HubFile<'_>) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let api = ApiBuilder::from_env().with_progress(false).build()?;
    let repository =
        Repo::with_revision(file.repository.into(), RepoType::Dataset, file.revision.clone().into_owned());
    Ok(api.repo(repository).get(file.path)?)
}
