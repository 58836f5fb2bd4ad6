//! Adapters that are trained: which ones can be trained on, and writing them.

use std::path::Path;

use lancer_backend::LearnerError;
use lancer_model::{Adapter, AdapterBase, AdapterPair, AdapterScale, ModelError, Tensor};

use super::BurnLearner;
use crate::{
    settings::{LoraSettings, Projection, Scaling, SettingError},
    transformer::Parameter,
};

/// What a parameter's name has after the name of its matrix.
const A: &str = ".lora_A.weight";

/// Checks that training with these settings can go on from an adapter.
pub(super) fn check_settings(adapter: &Adapter, lora: &LoraSettings) -> Result<(), SettingError> {
    let differs = |what: &str, known: String, asked: String| {
        Err(SettingError::OtherAdapter { what: what.into(), known, asked })
    };
    if adapter.scale.rank != lora.rank {
        return differs("rank", adapter.scale.rank.to_string(), lora.rank.to_string());
    }
    let (known, asked) = (adapter.scale.factor(), lora.scale());
    if (known / asked - 1.0).abs() > 1e-6 {
        return differs("scale", known.to_string(), asked.to_string());
    }
    let of_adapter = |projection: &Projection| {
        adapter.pairs.keys().any(|module| module.ends_with(&format!(".{}", projection.module())))
    };
    let names = |projections: Vec<Projection>| {
        projections.into_iter().map(Projection::name).collect::<Vec<_>>().join(", ")
    };
    let known = names(Projection::ALL.into_iter().filter(of_adapter).collect());
    let asked = names(lora.targets.projections().collect());
    if known != asked {
        return differs("target modules", known, asked);
    }
    Ok(())
}

/// Writes the adapters alone: a GGUF adapter if `path` ends in `.gguf`, otherwise a PEFT folder.
pub(super) fn export(learner: &BurnLearner, lora: &LoraSettings, path: &Path) -> Result<(), LearnerError> {
    let write = || -> Result<(), ModelError> {
        let adapter = trained(learner, lora)?;
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
            adapter.write_gguf(learner.model.config(), path)
        } else {
            adapter.write_folder(&learner.model, path)
        }
    };
    write().map_err(|error| LearnerError::Export { path: path.into(), source: error.into() })
}

fn trained(learner: &BurnLearner, lora: &LoraSettings) -> Result<Adapter, ModelError> {
    let tensor = |parameter: &Parameter| Tensor { shape: parameter.shape.clone(), data: parameter.in_files() };
    let pairs = learner.transformer.adapters().map(|[down, up]| {
        let module = down.name.strip_suffix(A).unwrap_or(&down.name).to_owned();
        (module, AdapterPair { down: tensor(down), up: tensor(up) })
    });
    let by_root = lora.scaling == Scaling::RootOfRank;
    Ok(Adapter {
        scale: AdapterScale { rank: lora.rank, alpha: lora.alpha, by_root },
        pairs: pairs.collect(),
        dropout: lora.dropout,
        base: Some(AdapterBase::of(learner.model.base_path())?),
    })
}
