//! The engines that a run uses, brought by its caller.

use std::{error::Error, path::Path};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};
use lancer_prefer::{
    Examples, TrainSettings, TrainingError, TrainingObserver, TrainingReport, loss::PreferenceLoss,
};

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

    /// Where a trainer of this name, as the recipe has it, trains.
    ///
    /// # Errors
    /// Where there is none of this name; the error says which there are.
    fn training_place(&self, trainer: &str) -> Result<TrainingPlace, Box<dyn Error + Send + Sync>> {
        Err(format!("there is no trainer `{trainer}` here").into())
    }

    /// Checks what the recipe asks of a program that trains elsewhere, without a model: each setting is one that it takes. It is
    /// called before anything is done. The error names the setting.
    fn check_trainer(&self, settings: &TrainerSettings<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.training_place(settings.trainer).map(|_| ())
    }

    /// Has another program make a training.
    ///
    /// # Errors
    /// What the program failed with. The same call goes on with the training.
    fn train(
        &mut self,
        task: &TrainingTask<'_>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<TrainedElsewhere, TrainElsewhereError> {
        let _ = observer;
        Err(TrainElsewhereError::Program(
            format!("there is no trainer `{}` here", task.settings.trainer).into(),
        ))
    }

    /// Opens a model that was trained elsewhere, checked against the one that it was trained from: the same shape, finite
    /// weights, and not the same ones.
    ///
    /// # Errors
    /// Where it is not a model that can be taken over; the error says why.
    fn take_over(
        &mut self,
        model: &Path,
        start: &Path,
    ) -> Result<Box<dyn WritableModel>, Box<dyn Error + Send + Sync>> {
        let _ = start;
        Err(format!("{}: models that were trained elsewhere are not taken over here", model.display()).into())
    }

    /// Removes from a program's folder what is no longer needed once its model was written.
    fn tidy(&mut self, folder: &Path) {
        let _ = folder;
    }

    /// Makes a trained model ready to run as it stands in memory; `None` where another engine runs models, which has to load
    /// it.
    fn trained(&mut self, learner: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
        drop(learner);
        None
    }
}

/// Where a phase of training is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingPlace {
    /// In this process, by [`Engines::learner`].
    Here,
    /// By another program, with [`Engines::train`].
    Elsewhere,
}

/// The settings of a phase of training, as far as a program that trains elsewhere may not take them.
#[derive(Debug, Clone, Copy)]
pub struct TrainerSettings<'a> {
    /// The program's name in the recipe.
    pub trainer: &'a str,
    /// The recipe's `job` table: how the program is found and started.
    pub job: &'a toml::Table,
    /// The recipe's `learner` table.
    pub learner: &'a toml::Table,
    /// Batches, epochs, optimizer and schedule.
    pub train: &'a TrainSettings,
    /// The loss of preference training.
    pub loss: Option<&'a PreferenceLoss>,
}

/// A training that another program is to make.
#[derive(Debug, Clone, Copy)]
pub struct TrainingTask<'a> {
    /// With which program, and how.
    pub settings: TrainerSettings<'a>,
    /// The model that is trained: the user's, or a folder that the run wrote.
    pub model: &'a Path,
    /// What it learns from.
    pub examples: Examples<'a>,
    /// Decides the order of the examples, and what the program draws at random.
    pub seed: Seed,
    /// Where the program's data, configuration, log and output are kept. A training that was ended goes on from what is there.
    pub folder: &'a Path,
}

/// What a training elsewhere came to.
pub struct TrainedElsewhere {
    /// Its steps.
    pub report: TrainingReport,
    /// The model; none where the training was interrupted.
    pub model: Option<Box<dyn WritableModel>>,
    /// Which versions of which programs trained, as JSON.
    pub versions: String,
}

/// A trained model that can be written.
pub trait WritableModel {
    /// Writes the model: to a GGUF file if `to` ends in `.gguf`, otherwise to a Hugging Face folder. What is written is whole or
    /// absent.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn export(&self, to: &Path, format: WeightFormat) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Why a training elsewhere failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainElsewhereError {
    /// There was nothing to train on, or the examples could not be prepared.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The program failed, or what it wrote is not taken over.
    #[error("the program that trains")]
    Program(#[source] Box<dyn Error + Send + Sync>),
}

/// The form in which models are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnableModels {
    /// GGUF files of the recipe's format, beside what is trained on.
    Gguf,
    /// What is trained on, whole models or adapters over the user's: nothing is converted between stages.
    Trainable,
}
