//! The engines that a run uses, brought by its caller.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};

/// Loads the engines of a run. The loop itself names none.
pub trait Engines {
    /// What [`backend`](Self::backend) loads in a new run.
    fn runs(&self) -> RunnableModels;

    /// Writes a user's model as a GGUF file, in the format in which models are run. The file is whole or absent.
    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Loads a model to run it: a GGUF file that [`import`](Self::import) or [`Learner::export`] wrote; and in a run
    /// without such files the user's own model, or a folder that [`Learner::export`] wrote.
    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError>;

    /// Checks a recipe's `learner` table, without a model: every setting is known and in its range, and what it asks for is
    /// built in. It is called before anything is done. The error names the setting and what it may be.
    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Checks that preference training with the second of two checked tables can go on from what fine-tuning with the first makes.
    fn check_both_learners(
        &self,
        sft: &toml::Table,
        preference: &toml::Table,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = (sft, preference);
        Ok(())
    }

    /// Loads a model to train it: the user's, or one that [`Learner::export`] wrote as a folder. `settings` is the
    /// recipe's `learner` table. `seed` decides what the engine draws at random.
    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError>;

    /// Makes a trained model ready to run as it stands in memory; `None` where another engine runs models, which has to load
    /// it.
    fn trained(&mut self, learner: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
        drop(learner);
        None
    }
}

/// The form in which models are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnableModels {
    /// GGUF files of the recipe's format, beside what is trained on.
    Gguf,
    /// What is trained on, in 32-bit floats: nothing is converted between stages.
    Trainable,
}
