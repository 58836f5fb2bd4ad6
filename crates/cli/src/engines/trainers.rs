//! Programs that train elsewhere, between the loop and `lancer-trainers`.

use std::{
    error::Error,
    path::{Path, PathBuf},
    str::FromStr,
};

use lancer_backend::WeightFormat;
use lancer_evolve::{
    TrainElsewhereError, TrainedElsewhere, TrainerSettings, TrainingPlace, TrainingTask, WritableModel,
};
use lancer_prefer::TrainingObserver;
use lancer_trainers::{Job, JobSettings, Method, TrainedModel, Trainer, TrainerError};

use super::convert_format;
use crate::options::cache_folder;

/// The name of lancer's own trainer in a recipe.
const HERE: &str = "burn";

/// Where a trainer of this name trains.
pub(crate) fn place(trainer: &str) -> Result<TrainingPlace, Box<dyn Error + Send + Sync>> {
    if trainer == HERE {
        return Ok(TrainingPlace::Here);
    }
    Trainer::from_str(trainer).map(|_| TrainingPlace::Elsewhere).map_err(|_| {
        let known: Vec<&str> = std::iter::once(HERE).chain(Trainer::ALL.map(Trainer::name)).collect();
        format!("trainer: there is no `{trainer}`; there are {}", known.join(", ")).into()
    })
}

/// Checks what a program is asked for, without a model.
pub(crate) fn check(settings: &TrainerSettings<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (trainer, job, method) = read(settings)?;
    Ok(lancer_trainers::check(trainer, &job, &method, settings.train, settings.loss)?)
}

/// Has a program train.
pub(crate) fn train(
    task: &TrainingTask<'_>,
    python: Option<&Path>,
    observer: &mut dyn TrainingObserver,
) -> Result<TrainedElsewhere, TrainElsewhereError> {
    let failed = |error: TrainerError| match error {
        TrainerError::Training(error) => TrainElsewhereError::Training(error),
        error => TrainElsewhereError::Program(error.into()),
    };
    let (trainer, mut settings, method) = read(&task.settings).map_err(failed)?;
    settings.python = python.map(Path::to_path_buf).or(settings.python).or_else(|| installed(trainer));
    let job = Job {
        trainer,
        settings: &settings,
        method: &method,
        model: task.model,
        examples: task.examples,
        train: task.settings.train,
        seed: task.seed,
        folder: task.folder,
    };
    let done = job.run(observer).map_err(failed)?;
    Ok(TrainedElsewhere {
        report: done.report,
        model: done.model.map(|model| Box::new(Written(model)) as Box<dyn WritableModel>),
        // Names and versions are texts.
        versions: serde_json::to_string(&done.versions).unwrap_or_default(),
    })
}

/// Opens a model that was trained elsewhere.
pub(crate) fn take_over(
    model: &Path,
    start: &Path,
) -> Result<Box<dyn WritableModel>, Box<dyn Error + Send + Sync>> {
    Ok(Box::new(Written(TrainedModel::brought(start, model)?)))
}

/// Removes what a program's folder no longer needs. What cannot be removed takes room, and hurts nothing else.
pub(crate) fn tidy(folder: &Path) {
    let _ = Job::tidy(folder);
}

/// The folder of the environment that `lancer setup` makes for a trainer.
pub(crate) fn environment(trainer: Trainer) -> Option<PathBuf> {
    Some(cache_folder()?.join("trainers").join(trainer.name()))
}

/// The Python of an environment.
pub(crate) fn python_of(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// The Python of the environment that `lancer setup` has made for a trainer.
fn installed(trainer: Trainer) -> Option<PathBuf> {
    let python = python_of(&environment(trainer)?);
    python.exists().then_some(python)
}

fn read(settings: &TrainerSettings<'_>) -> Result<(Trainer, JobSettings, Method), TrainerError> {
    let trainer = Trainer::from_str(settings.trainer)?;
    Ok((trainer, JobSettings::from_table(settings.job)?, Method::from_table(settings.learner)?))
}

/// A trained model, written as the loop asks for it.
struct Written(TrainedModel);

impl WritableModel for Written {
    fn export(&self, to: &Path, format: WeightFormat) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.export(to, convert_format(format))?)
    }
}
