//! In place of the hub where it is not built in.

use std::path::PathBuf;

use super::{Files, HubModel};
use crate::failure::Failure;

pub(super) fn fetch(model: &HubModel, _: Files) -> Result<PathBuf, Failure> {
    Err(Failure::usage(format!(
        "there is no file or folder {}, and this lancer was built without the Hugging Face hub: build it with `--features hub`, or fetch the model and give its folder",
        model.repository
    )))
}
