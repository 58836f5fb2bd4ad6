//! The stages, each a function from the ledger to the ledger.
//!
//! A stage asks the ledger what is there, makes what is missing, and writes each row when it exists. It can be killed
//! and run again at any point.

mod annotate;
mod calibrate;
mod clean;
mod evaluate;
mod generate;
mod import;
mod merge;
mod preference;
mod recording;
mod review;
mod sft;
mod training;

use std::{
    mem,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lancer_backend::{Backend, Seed, Usage};

use self::recording::Recording;
use crate::{
    engines::Engines, error::EvolveError, ledger::Ledger, models, progress::Progress, recipe::Recipe,
    stage::Stage,
};

/// What the stages of one session share.
pub(crate) struct Session<'a> {
    recipe: &'a Recipe,
    folder: &'a Path,
    ledger: &'a Ledger,
    engines: &'a mut dyn Engines,
    progress: &'a mut dyn Progress,
    /// The model that is loaded to be run.
    loaded: Option<(u32, Box<dyn Backend>)>,
    usage: Usage,
    trained: u64,
}

/// Runs one stage to its end.
pub(crate) fn run(session: &mut Session<'_>, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    match stage {
        Stage::Import => import::run(session),
        Stage::Calibrate => calibrate::run(session, iteration),
        Stage::ReviewSeeds => review::seeds(session, iteration),
        Stage::Generate => generate::run(session, iteration),
        Stage::Clean => clean::run(session, iteration),
        Stage::ReviewNew => review::new_records(session, iteration),
        Stage::Annotate => annotate::run(session, iteration),
        Stage::Sft => sft::run(session, iteration),
        Stage::Preference => preference::run(session, iteration),
        Stage::Evaluate => evaluate::run(session, iteration),
        Stage::Merge => merge::run(session, iteration),
    }
}

/// An error where the user has asked to stop.
fn interrupted(flow: ControlFlow<()>, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EvolveError::Interrupted { iteration, stage }),
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        recipe: &'a Recipe,
        folder: &'a Path,
        ledger: &'a Ledger,
        engines: &'a mut dyn Engines,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self { recipe, folder, ledger, engines, progress, loaded: None, usage: Usage::default(), trained: 0 }
    }

    /// What was computed since the last call.
    pub(crate) fn take_usage(&mut self) -> (Usage, u64) {
        (mem::take(&mut self.usage), mem::take(&mut self.trained))
    }

    /// Tells the user something.
    pub(crate) fn note(&mut self, text: &str) {
        self.progress.note(text);
    }

    /// The seed of what an iteration draws at random.
    fn seed(&self, iteration: u32, what: &str) -> Seed {
        self.recipe.seed.derive(&format!("{iteration}/{what}"))
    }

    /// Loads a model to run it, unless it is loaded.
    fn load(&mut self, model: u32) -> Result<(), EvolveError> {
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != model) {
            // The old one first: two may not fit into memory.
            self.loaded = None;
            let backend = self.engines.backend(&self.runnable(model))?;
            self.loaded = Some((model, backend));
        }
        Ok(())
    }

    /// The file or folder from which a model is run.
    fn runnable(&self, model: u32) -> PathBuf {
        self.gguf(model).unwrap_or_else(|| self.trainable(model))
    }

    /// The GGUF file from which a model is run; none in a run that began without one for its first model. All models of a run
    /// are run in one form, whatever engine goes on with it, so that they can be compared.
    fn gguf(&self, model: u32) -> Option<PathBuf> {
        models::gguf(self.folder, 0).exists().then(|| models::gguf(self.folder, model))
    }

    /// Makes room for training.
    fn unload(&mut self) {
        self.loaded = None;
    }

    /// The file or folder from which a model is trained on.
    fn trainable(&self, model: u32) -> PathBuf {
        if model == 0 { self.recipe.model.clone() } else { models::trainable(self.folder, model) }
    }

    /// Does a piece of work on a loaded model, with a bar that counts from `done` to `total`.
    ///
    /// `work` gets the engine and a [`Recording`] that it passes what is made to.
    fn work<E: Into<EvolveError>>(
        &mut self,
        (iteration, stage): (u32, Stage),
        model: u32,
        (unit, done, total): (&'static str, usize, usize),
        work: impl FnOnce(&mut dyn Backend, &mut Recording<'_>) -> Result<Usage, E>,
    ) -> Result<(), EvolveError> {
        if done == total {
            return Ok(());
        }
        self.load(model)?;
        let Some((_, backend)) = &mut self.loaded else { return Ok(()) };
        self.progress.begin(iteration, stage, unit, done, total);
        let mut recording = Recording::new(self.ledger, self.progress);
        let result = work(backend.as_mut(), &mut recording);
        let result = recording.outcome(result, iteration, stage);
        self.progress.end();
        self.usage += result?;
        Ok(())
    }
}
