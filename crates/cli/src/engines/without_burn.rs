//! In place of Burn where it is not built in.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed};

use super::{EngineOptions, missing};

pub(super) fn backend(_: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Err(BackendError::Load { path: model.into(), source: missing("burn-cpu") })
}

pub(super) fn learner(
    _: &EngineOptions,
    model: &Path,
    _: &toml::Table,
    _: Seed,
) -> Result<Box<dyn Learner>, LearnerError> {
    Err(LearnerError::Load { path: model.into(), source: missing("burn-cpu") })
}

pub(super) fn check_learner(_: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(missing("burn-cpu"))
}

pub(super) fn learner_schema() -> Option<serde_json::Value> {
    None
}

pub(super) fn trained(_: &EngineOptions, _: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
    None
}

pub(super) fn trains_adapters(_: &toml::Table) -> bool {
    false
}

pub(super) fn check_both_learners(
    _: &toml::Table,
    _: &toml::Table,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(missing("burn-cpu"))
}
