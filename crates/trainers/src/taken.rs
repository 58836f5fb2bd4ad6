//! The model that a trainer wrote, checked before it is taken over.

use std::path::Path;

use lancer_model::{ConvertFormat, Model, ModelError, TensorSource, write_model};

use crate::{
    adapter::Merged,
    error::TrainerError,
    plan::Paths,
    settings::Trainer,
    start::{linked, remove},
};

/// A trained model: its weights come from the trainer, everything else from the model that was trained.
pub struct TrainedModel {
    start: Model,
    weights: Box<dyn TensorSource>,
}

impl std::fmt::Debug for TrainedModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TrainedModel").field("start", &self.start).finish_non_exhaustive()
    }
}

impl TrainedModel {
    /// Opens what a trainer wrote and checks it: every tensor is there in its shape, every number is finite, and something
    /// has changed.
    ///
    /// # Errors
    /// [`TrainerError::Refused`], saying what is wrong.
    pub(crate) fn check(trainer: Trainer, start: &Path, paths: &Paths) -> Result<Self, TrainerError> {
        let refused = |reason: String| TrainerError::Refused { trainer, path: paths.output(), reason };
        let start = Model::open(start)?;
        let weights: Box<dyn TensorSource> = if paths.output().join("adapter_config.json").exists() {
            Box::new(Merged::open(Model::open(start.path())?, &paths.output()).map_err(&refused)?)
        } else {
            Box::new(
                with_weights(&start, &paths.output(), &paths.folder.join("taken"))
                    .map_err(|error| refused(error.to_string()))?,
            )
        };
        compare(&start, weights.as_ref(), &refused)?;
        Ok(Self { start, weights })
    }

    /// Opens a model that was trained elsewhere by whatever means, a GGUF file, a folder or a PEFT adapter, and checks it as
    /// what a trainer wrote is checked.
    ///
    /// # Errors
    /// [`TrainerError::Refused`], saying what is wrong.
    pub fn brought(start: &Path, trained: &Path) -> Result<Self, TrainerError> {
        let trainer = Trainer::Command;
        let refused = |reason: String| TrainerError::Refused { trainer, path: trained.into(), reason };
        let start = Model::open(start)?;
        let weights: Box<dyn TensorSource> = if trained.join("adapter_config.json").exists() {
            Box::new(Merged::open(Model::open(start.path())?, trained).map_err(&refused)?)
        } else {
            Box::new(Model::open(trained).map_err(|error| refused(error.to_string()))?)
        };
        compare(&start, weights.as_ref(), &refused)?;
        Ok(Self { start, weights })
    }

    /// Writes the model: to a GGUF file if `to` ends in `.gguf`, otherwise to a Hugging Face folder.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn export(&self, to: &Path, format: ConvertFormat) -> Result<(), ModelError> {
        write_model(&self.start, self.weights.as_ref(), to, format)
    }
}

/// Checks that every tensor of `start` is there in its shape, that every number is finite, and that something has changed.
fn compare(
    start: &Model,
    weights: &dyn TensorSource,
    refused: &dyn Fn(String) -> TrainerError,
) -> Result<(), TrainerError> {
    let mut has_changed = false;
    for name in start.tensor_names() {
        let trained = weights.tensor(&name).map_err(|error| refused(error.to_string()))?;
        let first = start.tensor(&name)?;
        if trained.shape != first.shape {
            return Err(refused(format!(
                "{name} has the shape {:?}, and {:?} in the model that it was to be trained from",
                trained.shape, first.shape
            )));
        }
        if let Some(wrong) = trained.data.iter().find(|weight| !weight.is_finite()) {
            return Err(refused(format!(
                "{name} has {wrong} in it. The training has diverged: look at the losses in the log, and train with a \
                 lower `train.optimizer.learning_rate`"
            )));
        }
        has_changed = has_changed || trained.data != first.data;
    }
    if !has_changed {
        return Err(refused("its weights are those that it started from: nothing was trained".into()));
    }
    Ok(())
}

/// The model of `start` with the weights in a folder, whatever else is in that folder.
fn with_weights(start: &Model, output: &Path, within: &Path) -> Result<Model, TrainerError> {
    remove(within)?;
    linked(start, output, within)?;
    Ok(Model::open(within)?)
}
