//! `lancer train` with a program that trains elsewhere.

use std::{path::PathBuf, time::Instant};

use lancer_evolve::{TrainElsewhereError, TrainerSettings, TrainingPlace, TrainingTask};
use lancer_prefer::{Examples, loss::PreferenceLoss};

use super::{Job, observer::Observer, wrong_learner};
use crate::{
    engines::{self, trainers},
    failure::Failure,
    interrupt,
    progress::Bars,
};

/// Checks who trains, and gives what a program that trains elsewhere is asked for.
pub(super) fn check_trainer<'a>(
    trainer: Option<TrainerSettings<'a>>,
    learner: &toml::Table,
) -> Result<Option<TrainerSettings<'a>>, Failure> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| Failure::Usage(error);
    if let Some(settings) = trainer
        && trainers::place(settings.trainer).map_err(wrong)? == TrainingPlace::Elsewhere
    {
        trainers::check(&settings).map_err(wrong)?;
        return Ok(Some(settings));
    }
    engines::check_learner(learner).map_err(|error| wrong_learner(&*error))?;
    Ok(None)
}

impl Job<'_> {
    /// Has another program train, in a folder that is kept.
    pub(super) fn elsewhere(
        &self,
        settings: TrainerSettings<'_>,
        examples: Examples<'_>,
        loss: Option<&PreferenceLoss>,
        bars: &mut Bars,
    ) -> Result<(), Failure> {
        let folder = self.training_folder()?;
        let seed = self.arguments.seed.get();
        let task = TrainingTask { settings, model: &self.model, examples, seed, folder: &folder };
        let watching = interrupt::watch();
        let clock = Instant::now();
        let trained = trainers::train(&task, self.arguments.python.get(), &mut Observer { bars: &mut *bars });
        bars.stop();
        let took = clock.elapsed();
        drop(watching);
        let trained = trained.map_err(|error| match error {
            TrainElsewhereError::Program(error) => Failure::Failed(error),
            TrainElsewhereError::Training(error) => Failure::Failed(error.into()),
        })?;
        let model = trained.model;
        self.finish(Ok(trained.report), loss, took, |to, format| match &model {
            Some(model) => model.export(to, format).map_err(|error| Failure::Failed(error)),
            None => Ok(()),
        })?;
        drop(model);
        trainers::tidy(&folder);
        Ok(())
    }

    /// The folder of a program's data, configuration, log and checkpoints: the one for checkpoints, or one beside the output.
    fn training_folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.arguments.checkpoints.clone().unwrap_or_else(|| {
            let mut name = self.arguments.to.file_stem().unwrap_or_default().to_owned();
            name.push("-training");
            self.arguments.to.with_file_name(name)
        });
        let mut entries = std::fs::read_dir(&folder).into_iter().flatten();
        if entries.next().is_some() && !folder.join("job.json").exists() {
            return Err(Failure::usage(format!(
                "{} is no folder of a training elsewhere, which lancer would write into; give another one with --checkpoints",
                folder.display()
            )));
        }
        Ok(folder)
    }
}
