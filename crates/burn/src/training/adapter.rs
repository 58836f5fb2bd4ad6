//! Adapters that are trained: which ones can be trained on, and writing them.

use std::path::Path;

use lancer_backend::LearnerError;
use lancer_model::{Adapter, AdapterBase, AdapterPair, AdapterScale, ModelError, Tensor};

use super::BurnLearner;
use crate::{
    settings::{LoraSettings, Projection, Scaling, SettingError},
    transformer::{Parameter, Transformer},
};

/// What a parameter's name has after the name of its matrix.
const A: &str = ".lora_A.weight";

/// Checks that training with these settings can go on from an adapter.
pub(super) fn check_settings(adapter: &Adapter, lora: &LoraSettings) -> Result<(), SettingError> {
    let of_adapter = |projection: &Projection| {
        adapter.pairs.keys().any(|module| module.ends_with(&format!(".{}", projection.module())))
    };
    let targets = Projection::ALL.into_iter().filter(of_adapter).collect();
    lora.check_shape(adapter.scale.rank, adapter.scale.factor(), targets)
}

/// Writes the adapters alone: a GGUF adapter if `path` ends in `.gguf`, otherwise a PEFT folder.
pub(super) fn export(learner: &BurnLearner, lora: &LoraSettings, path: &Path) -> Result<(), LearnerError> {
    let write = || -> Result<(), ModelError> {
        let base = Some(AdapterBase::of(learner.model.base_path())?);
        let adapter = Adapter { base, ..trained(&learner.transformer, lora) };
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
            adapter.write_gguf(learner.model.config(), path)
        } else {
            adapter.write_folder(&learner.model, path)
        }
    };
    write().map_err(|error| LearnerError::Export { path: path.into(), source: error.into() })
}

/// The adapters as they are now. Their base is not noted.
pub(super) fn trained(transformer: &Transformer, lora: &LoraSettings) -> Adapter {
    let pairs = transformer.adapters().map(|parameters| (module(parameters).to_owned(), as_pair(parameters)));
    let by_root = lora.scaling == Scaling::RootOfRank;
    Adapter {
        scale: AdapterScale { rank: lora.rank, alpha: lora.alpha, by_root },
        pairs: pairs.collect(),
        dropout: lora.dropout,
        base: None,
    }
}

/// The adapter beside the weights of this name, if there is one.
pub(super) fn pair(learner: &BurnLearner, weights: &str) -> Option<AdapterPair> {
    let of = weights.strip_suffix(".weight")?;
    learner.transformer.adapters().find(|&parameters| module(parameters) == of).map(as_pair)
}

/// The name of the matrix beside which an adapter is.
fn module([down, _]: [&Parameter; 2]) -> &str {
    down.name.strip_suffix(A).unwrap_or(&down.name)
}

fn as_pair(parameters: [&Parameter; 2]) -> AdapterPair {
    let [down, up] =
        parameters.map(|parameter| Tensor { shape: parameter.shape.clone(), data: parameter.in_files() });
    AdapterPair { down, up }
}
