//! The engines of a run, as its recipe and the command line name them.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};
use lancer_eval::TaskSpec;
use lancer_evolve::{
    Engines, Recipe, RunnableModels, TrainElsewhereError, TrainedElsewhere, TrainerSettings, TrainingPlace,
    TrainingTask, WritableModel,
};
use lancer_prefer::TrainingObserver;
use lancer_review::ModeSetting;

use super::{
    BackendName, Engine, EngineOptions, KnownModels, Scores, backend, burn, check_learner, import, learner,
    named, openai, trainers, trains_adapters,
};
use crate::interrupt;

/// What training makes in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Makes {
    /// Adapters over the user's model, in both phases.
    Adapters,
    /// Whole models.
    Models,
}

impl Makes {
    fn of(recipe: &Recipe) -> Self {
        let adapts = |trainer: Option<TrainerSettings<'_>>, learner: &toml::Table| {
            let place = trainer.map(|settings| trainers::place(settings.trainer));
            !matches!(place, Some(Ok(TrainingPlace::Elsewhere))) && trains_adapters(learner)
        };
        let (sft, preference) = (&recipe.sft, &recipe.preference);
        if adapts(sft.trainer(), &sft.learner) && adapts(preference.trainer(), &preference.learner) {
            Self::Adapters
        } else {
            Self::Models
        }
    }
}

/// The engines of a run.
pub(crate) struct RunEngines {
    options: EngineOptions,
    makes: Makes,
    /// The Python of programs that train elsewhere, where the command line names it.
    python: Option<PathBuf>,
    /// The user's model, which the servers run at first.
    first: PathBuf,
    scores: Scores,
    /// The run's folder, where these are the engines of one run.
    run: Option<PathBuf>,
    servers: Option<openai::Connection>,
    /// The model that the servers are known to run.
    served: Option<PathBuf>,
    known: Option<KnownModels>,
}

impl RunEngines {
    /// Those that a recipe names; what it does not name is as the command line says.
    pub(crate) fn new(options: &EngineOptions, recipe: &Recipe, run: Option<&Path>) -> Result<Self, String> {
        let backend = recipe.backend.as_deref().map(named).transpose()?.or(options.backend);
        let servers = options.servers.of_recipe(&recipe.server)?;
        let options = EngineOptions { backend, servers, ..options.clone() };
        options.check()?;
        let scores = if asks_for_scores(recipe) { Scores::Asked } else { Scores::NotAsked };
        let run = run.map(Path::to_owned);
        Ok(Self {
            options,
            makes: Makes::of(recipe),
            python: None,
            first: recipe.model.clone(),
            scores,
            run,
            servers: None,
            served: None,
            known: None,
        })
    }

    /// With the Python of programs that train elsewhere.
    pub(crate) fn with_python(self, python: Option<PathBuf>) -> Self {
        Self { python, ..self }
    }

    /// Connects to the servers, where there are any, and checks that they can do what the recipe asks: before the run begins.
    pub(crate) fn check(&mut self) -> Result<(), BackendError> {
        if matches!(BackendName::of(&self.options).engine(), Engine::OpenAi) {
            self.servers = Some(openai::connect(&self.options, &self.first, self.scores)?);
        }
        Ok(())
    }

    /// The servers, running `model`.
    fn served(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        let mut connection = match self.servers.take() {
            Some(connection) => connection,
            None => openai::connect(&self.options, &self.first, self.scores)?,
        };
        if self.served.as_deref() != Some(model) {
            self.served = None;
            // By now the run's folder has its name.
            let known = self.known.get_or_insert_with(|| KnownModels::of_run(self.run.as_deref()));
            openai::serve(&self.options, &mut connection, known, &self.first, model)?;
            self.served = Some(model.to_owned());
        }
        let backend = openai::backend(&self.options, &connection, model);
        self.servers = Some(connection);
        backend
    }
}

/// Whether a recipe asks for log-probabilities of given text.
fn asks_for_scores(recipe: &Recipe) -> bool {
    let by_review = match recipe.review.mode {
        ModeSetting::Auto | ModeSetting::Expected | ModeSetting::Likelihood => true,
        ModeSetting::Rubric | ModeSetting::None => false,
    };
    // What is wrong with a task's file is said where the tasks are read.
    let by_task = |path: &PathBuf| TaskSpec::load(path).is_ok_and(|spec| spec.is_scored());
    by_review || recipe.evaluate.tasks.iter().any(by_task)
}

impl Engines for RunEngines {
    fn runs(&self) -> RunnableModels {
        match BackendName::of(&self.options).engine() {
            // Adapters run over the user's own file, as they were trained.
            Engine::LlamaCpp if self.makes == Makes::Adapters => RunnableModels::Trainable,
            Engine::LlamaCpp | Engine::Onnx => RunnableModels::Gguf,
            Engine::Burn | Engine::OpenAi => RunnableModels::Trainable,
        }
    }

    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        interrupt::of_run(|| import(model, to, format))
    }

    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        interrupt::of_run(|| match BackendName::of(&self.options).engine() {
            Engine::OpenAi => self.served(model),
            _ => backend(&self.options, model, self.scores),
        })
    }

    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
        check_learner(settings)
    }

    fn check_both_learners(
        &self,
        sft: &toml::Table,
        preference: &toml::Table,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        burn::check_both_learners(sft, preference)
    }

    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError> {
        interrupt::of_run(|| learner(&self.options, model, settings, seed))
    }

    fn training_place(&self, trainer: &str) -> Result<TrainingPlace, Box<dyn Error + Send + Sync>> {
        trainers::place(trainer)
    }

    fn check_trainer(&self, settings: &TrainerSettings<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        trainers::check(settings)
    }

    fn train(
        &mut self,
        task: &TrainingTask<'_>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<TrainedElsewhere, TrainElsewhereError> {
        trainers::train(task, self.python.as_deref(), observer)
    }

    fn take_over(
        &mut self,
        model: &Path,
        start: &Path,
    ) -> Result<Box<dyn WritableModel>, Box<dyn Error + Send + Sync>> {
        interrupt::of_run(|| trainers::take_over(model, start))
    }

    fn tidy(&mut self, folder: &Path) {
        trainers::tidy(folder);
    }

    fn trained(&mut self, learner: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
        burn::trained(&self.options, learner)
    }
}
