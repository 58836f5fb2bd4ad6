//! Which engines there are: the only file that names them.

use std::{error::Error, num::NonZeroU32, path::Path};

use clap::{Args, ValueEnum};
use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};
use lancer_evolve::Engines;
use lancer_model::{ConvertFormat, Model, convert};

/// An engine that runs models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// llama.cpp: fast, GGUF files.
    LlamaCpp,
    /// Burn: the engine that trains; simple rather than fast.
    Burn,
}

/// Which engine runs models, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineOptions {
    /// The engine that runs models.
    #[arg(long, value_enum, default_value_t = DEFAULT_BACKEND)]
    backend: BackendName,
    /// Threads; the processor's number by default.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroU32>,
    /// Samples that llama.cpp computes at the same time; 32 by default, 16 with weights in f32.
    #[arg(long, value_name = "N")]
    parallel: Option<NonZeroU32>,
    /// Tokens that llama.cpp's KV cache holds for all samples together; the longest text there can be.
    #[arg(long, value_name = "N")]
    cache_tokens: Option<NonZeroU32>,
}

const DEFAULT_BACKEND: BackendName =
    if cfg!(feature = "llama-cpp") { BackendName::LlamaCpp } else { BackendName::Burn };

/// Loads a model to run it.
pub(crate) fn backend(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    match options.backend {
        BackendName::LlamaCpp => llama_cpp(options, model),
        BackendName::Burn => burn_backend(model),
    }
}

/// Loads a model to train it.
pub(crate) fn learner(
    model: &Path,
    settings: &toml::Table,
    seed: Seed,
) -> Result<Box<dyn Learner>, LearnerError> {
    burn_learner(model, settings, seed)
}

#[cfg(feature = "llama-cpp")]
fn llama_cpp(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};

    let default = LlamaCppSettings::default();
    let settings = LlamaCppSettings {
        threads: options.threads,
        parallel: options.parallel,
        cache_tokens: options.cache_tokens.unwrap_or(default.cache_tokens),
        ..default
    };
    Ok(Box::new(LlamaCpp::load(&crate::converted::as_gguf(model)?, &settings)?))
}

#[cfg(not(feature = "llama-cpp"))]
fn llama_cpp(_: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Err(BackendError::Load { path: model.into(), source: missing("llama-cpp") })
}

#[cfg(feature = "burn-cpu")]
fn burn_backend(model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Ok(Box::new(lancer_burn::BurnBackend::load(model)?))
}

#[cfg(not(feature = "burn-cpu"))]
fn burn_backend(model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Err(BackendError::Load { path: model.into(), source: missing("burn-cpu") })
}

#[cfg(feature = "burn-cpu")]
fn burn_learner(model: &Path, settings: &toml::Table, seed: Seed) -> Result<Box<dyn Learner>, LearnerError> {
    let settings: lancer_burn::TrainSettings = settings
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| LearnerError::Load { path: model.into(), source: error.into() })?;
    let settings = lancer_burn::TrainSettings { seed, ..settings };
    Ok(Box::new(lancer_burn::BurnLearner::load(model, &settings)?))
}

#[cfg(not(feature = "burn-cpu"))]
fn burn_learner(model: &Path, _: &toml::Table, _: Seed) -> Result<Box<dyn Learner>, LearnerError> {
    Err(LearnerError::Load { path: model.into(), source: missing("burn-cpu") })
}

#[cfg(not(all(feature = "llama-cpp", feature = "burn-cpu")))]
fn missing(feature: &str) -> Box<dyn Error + Send + Sync> {
    format!("this lancer was built without it; build it with `--features {feature}`").into()
}

/// Writes a model in the form that its engine runs.
pub(crate) fn import(
    model: &Path,
    to: &Path,
    format: WeightFormat,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let format = match format {
        WeightFormat::F32 => ConvertFormat::F32,
        WeightFormat::Half => ConvertFormat::Half,
        WeightFormat::Q8_0 => ConvertFormat::Q8_0,
    };
    Ok(convert(&Model::open(model)?, to, format)?)
}

/// The engines of a run.
pub(crate) struct RunEngines<'a> {
    pub(crate) options: &'a EngineOptions,
}

impl Engines for RunEngines<'_> {
    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        import(model, to, format)
    }

    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        backend(self.options, model)
    }

    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError> {
        learner(model, settings, seed)
    }
}
