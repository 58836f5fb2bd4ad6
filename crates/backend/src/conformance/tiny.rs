//! The tiny models of `fixtures/`, which `fixtures/make_tiny_models.py` makes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One of each family, on which every engine is tested. Beside each stands what transformers says of it, `expected.json`.
pub const TINY_MODELS: [&str; 6] =
    ["tiny-llama", "tiny-qwen2", "tiny-llama3", "tiny-mistral", "tiny-qwen3", "tiny-gemma3"];

/// The other configurations of a tiny model's weights (its folder `variants`), each put together as a folder of `scratch`,
/// with an `expected.json` of its own.
///
/// # Errors
/// Where a file cannot be copied.
pub fn variants(model: &Path, scratch: &Path) -> io::Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    let of_model = model.join("variants");
    if !of_model.exists() {
        return Ok(made);
    }
    for variant in fs::read_dir(of_model)? {
        let variant = variant?;
        let to = scratch.join(variant.file_name());
        fs::create_dir_all(&to)?;
        copy_files(model, &to)?;
        copy_files(&variant.path(), &to)?;
        made.push(to);
    }
    Ok(made)
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for file in fs::read_dir(from)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}
