//! The stages, each a function from the ledger to the ledger.
//!
//! A stage asks the ledger what is there and makes what is missing, in fixed groups of which each is written when it is whole
//! ([`groups`]). It can be killed and run again at any point.

mod annotate;
mod brought;
mod calibrate;
mod check;
mod clean;
mod evaluate;
mod generate;
mod groups;
mod import;
mod judged;
mod merge;
mod preference;
mod recording;
mod review;
mod sft;
mod training;

pub(crate) use self::{generate::sample_key, preference::pair_of, sft::chat_of};

use std::{
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use lancer_backend::{Backend, Seed, Usage};

use self::{groups::Groups, recording::Recording};
use crate::{
    engines::{Engines, RunnableModels},
    error::EvolveError,
    laps::Laps,
    ledger::Ledger,
    models,
    progress::Progress,
    recipe::Recipe,
    stage::Stage,
};

/// What the stages of one session share.
pub(crate) struct Session<'a> {
    recipe: &'a Recipe,
    folder: &'a Path,
    ledger: &'a Ledger,
    engines: &'a mut dyn Engines,
    progress: &'a mut dyn Progress,
    /// In which form models are run; none until the first is there.
    form: Option<RunnableModels>,
    /// The model that is loaded to be run.
    loaded: Option<(u32, Box<dyn Backend>)>,
    /// A model that was trained elsewhere, for the next iteration that trains.
    brought: Option<PathBuf>,
    /// Counts the time of the stage.
    pub(crate) laps: Laps,
}

/// Runs one stage to its end, on what its inputs have been from the beginning on.
pub(crate) fn run(session: &mut Session<'_>, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    check::run(session, iteration, stage)?;
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

/// An error where the user has asked to stop. To be asked when what was made is in the ledger.
fn interrupted(flow: ControlFlow<()>, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    interrupted_if(flow.is_break(), iteration, stage)
}

fn interrupted_if(is_asked: bool, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    if is_asked { Err(EvolveError::Interrupted { iteration, stage }) } else { Ok(()) }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        recipe: &'a Recipe,
        folder: &'a Path,
        ledger: &'a Ledger,
        form: Option<RunnableModels>,
        engines: &'a mut dyn Engines,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self {
            recipe,
            folder,
            ledger,
            form,
            engines,
            progress,
            loaded: None,
            brought: None,
            laps: Laps::new(),
        }
    }

    /// Takes this model for the next iteration that trains, in place of a training.
    pub(crate) fn bring(&mut self, model: Option<PathBuf>) {
        self.brought = model;
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
        (self.form == Some(RunnableModels::Gguf)).then(|| models::gguf(self.folder, model))
    }

    /// Makes room for training.
    fn unload(&mut self) {
        self.loaded = None;
    }

    /// The file or folder from which a model is trained on.
    fn trainable(&self, model: u32) -> PathBuf {
        if model == 0 { self.recipe.model.clone() } else { models::trainable(self.folder, model) }
    }

    /// Does the groups of work that are missing on a loaded model, with a bar that counts rows.
    ///
    /// `ask` gets the engine, the places of a group and a [`Recording`] that it passes the group's rows to; `write` puts a row
    /// into the ledger. A group's rows and the tokens that they took are written together.
    fn work<Row, E: Into<EvolveError>>(
        &mut self,
        (iteration, stage): (u32, Stage),
        model: u32,
        (unit, groups): (&'static str, &Groups),
        mut ask: impl FnMut(&mut dyn Backend, Range<usize>, &mut Recording<'_, Row>) -> Result<Usage, E>,
        write: impl Fn(&Ledger, &Row) -> Result<(), EvolveError>,
    ) -> Result<(), EvolveError> {
        if groups.missing().next().is_none() {
            return Ok(());
        }
        self.load(model)?;
        let Some((_, backend)) = &mut self.loaded else { return Ok(()) };
        self.progress.begin(iteration, stage, unit, groups.done(), groups.total());
        let mut result = Ok(());
        for group in groups.missing() {
            // What the last group left in the engine is not there where a run goes on with this one.
            backend.forget();
            let whole = groups.rows_of(&group);
            let mut recording = Recording::new(&mut *self.progress, whole);
            let asked = ask(backend.as_mut(), group, &mut recording);
            let (rows, interrupted) = recording.end();
            result = match asked {
                Ok(_) if rows.len() != whole => {
                    Err(EvolveError::Unanswered { iteration, stage, given: rows.len(), asked: whole })
                }
                Ok(usage) => {
                    self.ledger.together(|| {
                        rows.iter().try_for_each(|row| write(self.ledger, row))?;
                        self.ledger.add_timing((iteration, stage), self.laps.lap(), usage)
                    })?;
                    interrupted_if(interrupted, iteration, stage)
                }
                Err(_) if interrupted => interrupted_if(true, iteration, stage),
                Err(error) => Err(error.into()),
            };
            if result.is_err() {
                break;
            }
        }
        self.progress.end();
        result
    }
}
