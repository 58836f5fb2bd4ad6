//! The engines that a run uses, brought by its caller.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};

/// Loads the engines of a run. The loop itself names none.
pub trait Engines {
    /// Writes a user's model as a file that [`backend`](Self::backend) loads, in the format in which models are run.
    /// The file is whole or absent.
    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Loads a model to run it: one that [`import`](Self::import) or [`Learner::export`] wrote under a name ending in
    /// `.gguf`.
    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError>;

    /// Loads a model to train it: the user's, or one that [`Learner::export`] wrote as a folder. `settings` is the
    /// recipe's `learner` table. `seed` decides what the engine draws at random.
    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError>;
}
