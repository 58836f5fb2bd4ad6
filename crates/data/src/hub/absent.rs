//! In place of fetching, where the crate is built without the feature `hub`.

use std::{error::Error, path::PathBuf};

use super::HubFile;

/// Says which feature is missing.
pub(super) fn fetch(_: &HubFile<'_>) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    Err("lancer-data was built without it; build it with `--features hub`, or download the file yourself"
        .into())
}

/// Nothing was fetched.
pub(super) fn remember(_: &HubFile<'_>, _: &str) {}
