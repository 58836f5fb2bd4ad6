//! Options that several subcommands share.

use std::{env, path::PathBuf};

use clap::Args;
use lancer_backend::Seed;
use lancer_evolve::with_changes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    engines::{BackendName, EngineOptions},
    failure::Failure,
    hub_model::{self, Files},
};

/// The model and the engine that runs it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelOptions {
    /// A GGUF file, a Hugging Face folder, or a name on the hub (OWNER/NAME or OWNER/NAME@REVISION); the default model that
    /// `cargo xtask setup` fetches if left out.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

impl ModelOptions {
    /// The model's path, for work that runs it.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        self.engine.check().map_err(Failure::usage)?;
        match &self.model {
            Some(path) => hub_model::local(path, self.files()),
            None => default_model(),
        }
    }

    /// The files that running the model needs here.
    fn files(&self) -> Files {
        match self.engine.named() {
            Some(BackendName::OpenAi) if !self.engine.servers.scores_here() => Files::WithoutWeights,
            _ => Files::All,
        }
    }
}

/// What decides random choices.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SeedOption {
    /// Decides everything that is drawn at random.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl SeedOption {
    pub(crate) fn get(self) -> Seed {
        Seed(self.seed)
    }
}

/// The model that `cargo xtask setup` fetches into the user's cache folder.
pub(crate) fn default_model() -> Result<PathBuf, Failure> {
    const FILE: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
    let caches = [cache_folder(), users_cache_folder()].into_iter().flatten();
    caches.map(|cache| cache.join(FILE)).find(|path| path.exists()).ok_or_else(|| {
        Failure::usage(
            "no model: give one with --model PATH, or fetch the default one with `cargo xtask setup`",
        )
    })
}

/// lancer's cache folder: the one that `LANCER_CACHE` names, or its own within the user's.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let named = env::var_os("LANCER_CACHE").filter(|path| !path.is_empty());
    named.map(PathBuf::from).or_else(users_cache_folder)
}

/// lancer's folder within the user's cache folder.
fn users_cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = if cfg!(windows) { set("LOCALAPPDATA") } else { set("XDG_CACHE_HOME") };
    let cache = cache.or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("lancer"))
}

/// Settings of a library, changed on the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct Changes {
    /// Change a setting, such as `--set temperature=1.0`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Changes {
    /// The defaults, with these changes.
    pub(crate) fn applied<T: Default + Serialize + DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(with_changes(&T::default(), &self.set)?)
    }
}
