//! Burn: running models, training them, and running what was trained.

use std::{any::Any, error::Error, path::Path};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed};
use lancer_burn::{BurnBackend, BurnDevice, BurnLearner, BurnSettings, Method, TrainSettings, Weights};

use super::{BackendName, EngineOptions};

pub(super) fn backend(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    set_threads(options);
    Ok(Box::new(BurnBackend::load(model, &running(options))?))
}

pub(super) fn learner(
    options: &EngineOptions,
    model: &Path,
    settings: &toml::Table,
    seed: Seed,
) -> Result<Box<dyn Learner>, LearnerError> {
    set_threads(options);
    lancer_memory::keep_freed_memory();
    let failed = |source: toml::de::Error| LearnerError::Load { path: model.into(), source: source.into() };
    let default = device(BackendName::of(options)).or(device(BackendName::BURN));
    let named = settings.contains_key("device");
    let mut settings: TrainSettings = settings.clone().try_into().map_err(failed)?;
    settings.seed = seed;
    if let (false, Some(default)) = (named, default) {
        settings.device = default;
    }
    Ok(Box::new(BurnLearner::load(model, &settings)?))
}

pub(super) fn check_learner(settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
    let named = settings.contains_key("device");
    let settings: TrainSettings = settings.clone().try_into()?;
    settings.validate()?;
    if named && !BurnDevice::BUILT_IN.contains(&settings.device) {
        return Err(super::missing(&format!("burn-{}", settings.device.name())));
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "without Burn there is none")]
pub(super) fn learner_schema() -> Option<serde_json::Value> {
    Some(lancer_burn::settings_schema())
}

pub(super) fn check_both_learners(
    sft: &toml::Table,
    preference: &toml::Table,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let [sft, preference]: [TrainSettings; 2] = [sft.clone().try_into()?, preference.clone().try_into()?];
    let (Method::Lora(of_sft), Method::Lora(of_preference)) = (sft.method, preference.method) else {
        return Ok(());
    };
    Ok(of_preference.check_goes_on_from(&of_sft)?)
}

pub(super) fn trains_adapters(settings: &toml::Table) -> bool {
    let settings = settings.clone().try_into();
    settings.is_ok_and(|settings: TrainSettings| matches!(settings.method, Method::Lora(_)))
}

/// A trained model as it stands in memory, where models are run on the device on which it was trained.
pub(super) fn trained(options: &EngineOptions, learner: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
    let learner: Box<dyn Any> = learner;
    let learner: BurnLearner = *learner.downcast().ok()?;
    let settings = running(options);
    let is_same = device(BackendName::of(options)) == Some(learner.settings().device);
    // What is wrong with the settings is said when the trained model is loaded instead.
    let backend = is_same.then(|| learner.into_backend(&settings).ok())??;
    Some(Box::new(backend))
}

fn running(options: &EngineOptions) -> BurnSettings {
    let default = BurnSettings::default();
    BurnSettings {
        parallel: options.parallel.unwrap_or(default.parallel),
        cache_tokens: options.cache_tokens,
        weights: match BackendName::of(options) {
            BackendName::BurnBf16 => Weights::Bf16,
            _ => default.weights,
        },
        device: device(BackendName::of(options)).unwrap_or(default.device),
        ..default
    }
}

/// The device of a backend, if Burn is its engine.
fn device(backend: BackendName) -> Option<BurnDevice> {
    match backend {
        BackendName::Burn | BackendName::BurnBf16 => Some(BurnDevice::Cpu),
        BackendName::BurnWgpu => Some(BurnDevice::Wgpu),
        BackendName::BurnCuda => Some(BurnDevice::Cuda),
        _ => None,
    }
}

/// Burn's kernels on the processor run in rayon's threads, which are started once in a program.
fn set_threads(options: &EngineOptions) {
    if let Some(threads) = options.threads {
        // An error says that they have been started: by this, with the same number.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get() as usize).build_global();
    }
}
