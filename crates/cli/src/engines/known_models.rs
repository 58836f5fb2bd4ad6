//! Which models a run's servers have run, by their fingerprints: so that a run that goes on knows what they run now.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lancer_evolve::Run;
use lancer_openai::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::options::cache_folder;

/// The models of a run that its servers have run.
pub(super) struct KnownModels {
    models: Models,
    /// Where it is kept; nowhere for runs that share their engines.
    file: Option<PathBuf>,
}

#[derive(Default, Serialize, Deserialize)]
struct Models {
    models: BTreeMap<PathBuf, Fingerprint>,
}

impl KnownModels {
    /// What is known of the run in a folder. It is kept in lancer's cache folder under the run's own name, since the run's folder
    /// holds nothing but what the run made.
    pub(super) fn of_run(folder: Option<&Path>) -> Self {
        let file = folder.and_then(file_of);
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        Self { models: serde_json::from_str(&text).unwrap_or_default(), file }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.models.models.is_empty()
    }

    pub(super) fn of(&self, model: &Path) -> Option<&Fingerprint> {
        self.models.models.get(model)
    }

    /// The fingerprints of all other models.
    pub(super) fn but_for(&self, model: &Path) -> Vec<Fingerprint> {
        let others = self.models.models.iter().filter(|(path, _)| path.as_path() != model);
        others.map(|(_, fingerprint)| fingerprint.clone()).collect()
    }

    /// Keeps what a model's fingerprint is.
    pub(super) fn keep(&mut self, model: &Path, fingerprint: Fingerprint) {
        self.models.models.insert(model.to_owned(), fingerprint);
        let Some(file) = &self.file else { return };
        // Without it the next command gives the servers their model once more.
        let text = serde_json::to_string(&self.models).unwrap_or_default();
        let _ = file.parent().map(fs::create_dir_all);
        let _ = fs::write(file, text);
    }
}

/// The file for a run, by the name that its own file holds.
fn file_of(folder: &Path) -> Option<PathBuf> {
    let recipe = fs::read_to_string(folder.join(Run::RECIPE)).ok()?;
    let recipe: toml::Table = toml::from_str(&recipe).ok()?;
    let name: String = recipe.get("run")?.as_str()?.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(cache_folder()?.join("served").join(name).with_extension("json"))
}
