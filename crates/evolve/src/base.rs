//! What a training trains, by content: checkpoints belong to it.

use std::path::Path;

use lancer_model::ModelContent;
use lancer_prefer::Base;

use crate::error::EvolveError;

/// A model's files and the learner's settings, but for the device: a training may go on on another one.
///
/// # Errors
/// [`EvolveError::Model`] where a file cannot be read.
pub fn training_base(model: &Path, learner: &toml::Table) -> Result<Base, EvolveError> {
    let base = match ModelContent::of(model)? {
        ModelContent::File(hash) => Base::default().with("the file", hash),
        ModelContent::Folder(files) => {
            files.into_iter().fold(Base::default(), |base, (name, hash)| base.with(name, hash))
        }
    };
    let mut learner = learner.clone();
    learner.remove("device");
    Ok(base.with("the learner's settings", learner.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::training_base;

    #[test]
    fn weights_tokenizer_template_and_settings_count_and_the_device_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"];
        for file in files {
            fs::write(folder.path().join(file), "{}").unwrap();
        }
        let table = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let of = |settings: &str| training_base(folder.path(), &table(settings)).unwrap();
        let first = of("products = \"f32\"");
        assert_eq!(of("products = \"f32\"\ndevice = \"wgpu\""), first);
        assert_ne!(of("products = \"bf16\""), first);
        for file in files {
            fs::write(folder.path().join(file), "{ }").unwrap();
            assert_ne!(of("products = \"f32\""), first, "{file}");
            fs::write(folder.path().join(file), "{}").unwrap();
        }
        fs::write(folder.path().join("README.md"), "a card").unwrap();
        assert_eq!(of("products = \"f32\""), first);
    }
}
