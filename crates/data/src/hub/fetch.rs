//! Fetching with the crate `hf-hub`, which shares its cache with Hugging Face's Python packages.

use std::{env, error::Error, path::PathBuf};

use hf_hub::{Cache, Repo, RepoType, api::sync::ApiBuilder};

use super::HubFile;

/// The variable that forbids the network, as in Hugging Face's Python packages.
const OFFLINE: &str = "HF_HUB_OFFLINE";

/// How often a download that breaks off is gone on with.
const RETRIES: usize = 5;

/// Fetches a file unless it is in the cache. `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE` and the token of `hf auth login` count.
pub(super) fn fetch(file: &HubFile<'_>) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let repository = repository(file, &file.revision);
    if env::var(OFFLINE).is_ok_and(|value| matches!(value.as_str(), "1" | "true" | "True" | "ON" | "YES")) {
        let cache = Cache::from_env();
        let place = cache.path().display().to_string();
        return cache.repo(repository).get(file.path).ok_or_else(|| {
            format!("it is not in the cache {place}, and {OFFLINE} forbids the network; fetch it where there is one").into()
        });
    }
    let api = ApiBuilder::from_env().with_progress(false).with_retries(RETRIES).build()?;
    Ok(api.repo(repository).get(file.path)?)
}

/// Lets the cache find the file by its commit, as it was fetched by another name.
pub(super) fn remember(file: &HubFile<'_>, commit: &str) {
    // Without it the file is fetched once more.
    let _ = Cache::from_env().repo(repository(file, commit)).create_ref(commit);
}

fn repository(file: &HubFile<'_>, revision: &str) -> Repo {
    Repo::with_revision(file.repository.into(), RepoType::Dataset, revision.into())
}
