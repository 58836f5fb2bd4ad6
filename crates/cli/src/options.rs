//! Options that several subcommands share.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::Args;
use lancer_backend::Seed;
use lancer_evolve::with_changes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    converted::adapter_over,
    engines::{BackendName, EngineOptions},
    failure::Failure,
    hub_model::{self, Files},
};

/// The model and the engine that runs it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelOptions {
    #[command(flatten)]
    pub(crate) files: ModelFiles,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

impl ModelOptions {
    /// The model's path, for work that runs it.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        self.engine.check().map_err(Failure::usage)?;
        self.files.path(self.needed())
    }

    /// The files that running the model needs here.
    fn needed(&self) -> Files {
        match self.engine.named() {
            Some(BackendName::OpenAi) if !self.engine.servers.scores_here() => Files::WithoutWeights,
            _ => Files::All,
        }
    }
}

/// A base and perhaps an adapter over it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelFiles {
    /// A GGUF file, a Hugging Face folder, an adapter that names its base, or a name on the hub (OWNER/NAME or
    /// OWNER/NAME@REVISION); the default model that `cargo xtask setup` fetches if left out.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// An adapter over the model: a folder as PEFT has it, or a GGUF adapter.
    #[arg(long, value_name = "PATH")]
    pub(crate) adapter: Option<PathBuf>,
}

impl ModelFiles {
    /// The path of the model, fetched where it is on the hub: the base's, or the adapter's, which names its base.
    pub(crate) fn path(&self, files: Files) -> Result<PathBuf, Failure> {
        let model = match &self.model {
            Some(path) => hub_model::local(path, files)?,
            None => default_model()?,
        };
        match &self.adapter {
            None => Ok(model),
            Some(adapter) => Ok(adapter_over(&model, adapter)?),
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

/// The Python of programs that train elsewhere.
#[derive(Debug, Clone, Args)]
pub(crate) struct PythonOption {
    /// The Python of the environment that the program which trains is installed in (docs/trainers.md); by default the one that
    /// the setting `job.python` names, else the one that `lancer setup` has made.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

impl PythonOption {
    pub(crate) fn get(&self) -> Option<&Path> {
        self.python.as_deref()
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
