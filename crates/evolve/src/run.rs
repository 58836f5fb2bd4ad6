//! A run: a folder with its recipe and its ledger, taken through the stages that are left.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_backend::Usage;

use crate::{
    budget,
    engines::Engines,
    error::EvolveError,
    files, identity,
    inputs::{Inputs, Written},
    ledger::Ledger,
    leftovers,
    progress::Progress,
    recipe::Recipe,
    stage::Stage,
    stages::{self, Session},
    stopping,
};

/// Which part of a run is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The run is left after this stage of the iteration that it is in.
    pub until: Option<Stage>,
    /// A model that was trained elsewhere on what the run has annotated: it becomes the iteration's model, and nothing is
    /// trained in that iteration.
    pub trained: Option<PathBuf>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Every stage is finished.
    End,
    /// It was left where it was asked to be.
    After {
        /// The iteration, from 1.
        iteration: u32,
        /// Its last finished stage.
        stage: Stage,
    },
}

/// A run.
///
/// Everything that it makes is in the ledger or, for models, whole or absent, so a run that was killed goes on where it
/// was and ends as one that was never stopped.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    recipe: Recipe,
    ledger: Ledger,
}

impl Run {
    /// The recipe's file within a run's folder.
    pub const RECIPE: &'static str = "run.toml";

    /// The ledger's file within a run's folder.
    pub const LEDGER: &'static str = "ledger.sqlite";

    /// Starts a run in a folder, or goes on with the one that is there. The recipe's paths are absolute.
    ///
    /// # Errors
    /// [`EvolveError::OtherRecipe`] where the run in the folder has other settings; the number of iterations alone may
    /// grow, an engine that was not named may be, and servers may have other addresses. [`EvolveError::InputChanged`] where a file of seeds, of the model or of
    /// a task is not what it was. [`EvolveError::LedgerGone`] and [`EvolveError::OtherRun`] where the folder holds what
    /// another run has made.
    pub fn open(folder: &Path, recipe: Recipe) -> Result<Self, EvolveError> {
        recipe.validate()?;
        files::check_run(folder)?;
        let file = folder.join(Self::RECIPE);
        let is_new = !file.exists();
        if is_new {
            fs::create_dir_all(folder).map_err(|source| EvolveError::Io {
                action: "make the folder",
                path: folder.into(),
                source,
            })?;
        } else {
            let mut started = Recipe::load(&file)?;
            if recipe.iterations > started.iterations {
                started.iterations = recipe.iterations;
            }
            if started.backend.is_none() {
                started.backend.clone_from(&recipe.backend);
            }
            started.server.moved_to(&recipe.server);
            let differences = recipe.differences(&started);
            if !differences.is_empty() {
                return Err(EvolveError::OtherRecipe {
                    path: folder.into(),
                    differences: differences.join("; "),
                });
            }
        }
        identity::check_ledger(folder)?;
        // The lock before the first file: two processes may be starting the same run.
        let ledger = Ledger::open(&folder.join(Self::LEDGER))?;
        leftovers::remove(folder)?;
        let id = identity::settle(folder, &ledger)?;
        files::write(&file, &identity::recipe_file(&recipe, &id))?;
        identity::name_folders(folder, &id)?;
        Written::new(folder, &ledger).keep_older()?;
        Inputs::new(&recipe, &ledger).check_all()?;
        ledger.set_meta("recipe", &recipe.to_toml())?;
        ledger.flush()?;
        Ok(Self { folder: folder.into(), recipe, ledger })
    }

    /// The recipe of the run in a folder; `None` where there is no run.
    pub fn recipe_of(folder: &Path) -> Result<Option<Recipe>, EvolveError> {
        let file = folder.join(Self::RECIPE);
        if file.exists() { Recipe::load(&file).map(Some) } else { Ok(None) }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes the run through every stage that is not finished.
    ///
    /// # Errors
    /// [`EvolveError::Interrupted`] where `progress` ended it, and what a stage fails with. What was made is kept; the
    /// next call goes on from there.
    pub fn execute(&self, engines: &mut dyn Engines, progress: &mut dyn Progress) -> Result<(), EvolveError> {
        self.execute_part(engines, progress, &Part::default()).map(|_| ())
    }

    /// Takes the run through a part of the stages that are not finished.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`EvolveError::Brought`] where no iteration waits for the model that is brought.
    pub fn execute_part(
        &self,
        engines: &mut dyn Engines,
        progress: &mut dyn Progress,
        part: &Part,
    ) -> Result<Reached, EvolveError> {
        self.recipe.check_learners(engines)?;
        if let Some(model) = &part.trained {
            self.check_waits(model)?;
        }
        if let Some(migrated) = self.ledger.migrated() {
            progress.note(&migrated.to_string());
        }
        let written = Written::new(&self.folder, &self.ledger);
        let form = written.form()?;
        let mut session = Session::new(&self.recipe, &self.folder, &self.ledger, form, engines, progress);
        session.bring(part.trained.clone());
        self.note_version(&mut session)?;
        for iteration in 0..=self.recipe.iterations {
            if !budget::affords(&self.ledger, self.recipe.budget_tokens, iteration)? {
                session.note(&format!("the budget of tokens has no room for iteration {iteration}"));
                budget::set_last_iteration(&self.ledger, iteration - 1)?;
                break;
            }
            if !self.has_begun(iteration)?
                && let Some(reason) =
                    stopping::reason(&self.ledger, &self.recipe, iteration.saturating_sub(1))?
            {
                session.note(&format!("the run ends after iteration {}: {reason}", iteration - 1));
                budget::set_last_iteration(&self.ledger, iteration - 1)?;
                break;
            }
            let was_whole = self.is_whole(iteration)?;
            for &stage in Stage::of(iteration) {
                // An iteration that was whole is not ended again in its middle.
                let ends = part.until == Some(stage) && iteration > 0 && !was_whole;
                if self.ledger.is_finished(iteration, stage)? {
                    if ends {
                        return Ok(Reached::After { iteration, stage });
                    }
                    continue;
                }
                session.laps.lap();
                let result = stages::run(&mut session, iteration, stage);
                // The rest of the time; all else is in the ledger with the rows that took it.
                self.ledger.add_timing((iteration, stage), session.laps.lap(), Usage::default())?;
                if result.is_ok() {
                    let models = written.of_stage(iteration, stage)?;
                    self.ledger.together(|| {
                        written.keep(&models, iteration, stage)?;
                        self.ledger.set_finished(iteration, stage)
                    })?;
                }
                if let Err(error) = &result
                    && error.blames_an_input()
                {
                    Inputs::new(&self.recipe, &self.ledger).forget_unused()?;
                }
                self.ledger.flush()?;
                result?;
                if ends {
                    return Ok(Reached::After { iteration, stage });
                }
            }
        }
        written.check_all(self.recipe.iterations)?;
        self.ledger.flush()?;
        Ok(Reached::End)
    }

    /// Whether a stage of an iteration is finished.
    fn has_begun(&self, iteration: u32) -> Result<bool, EvolveError> {
        self.ledger.is_finished(iteration, Stage::of(iteration)[0])
    }

    /// Whether every stage of an iteration is finished.
    fn is_whole(&self, iteration: u32) -> Result<bool, EvolveError> {
        for &stage in Stage::of(iteration) {
            if !self.ledger.is_finished(iteration, stage)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks that an iteration has its examples and no model yet.
    fn check_waits(&self, model: &Path) -> Result<(), EvolveError> {
        for iteration in 1..=self.recipe.iterations {
            if self.is_whole(iteration)? {
                continue;
            }
            let has_examples = self.ledger.is_finished(iteration, Stage::Annotate)?;
            if has_examples && !self.ledger.is_finished(iteration, Stage::Preference)? {
                return Ok(());
            }
            break;
        }
        Err(EvolveError::Brought {
            model: model.into(),
            reason: "no iteration of this run has its examples and no model yet; the run gets there with --until annotate"
                .into(),
        })
    }

    /// Keeps which version of lancer works on the run, and says where that is not the one that started it.
    fn note_version(&self, session: &mut Session<'_>) -> Result<(), EvolveError> {
        let this = env!("CARGO_PKG_VERSION");
        match self.ledger.meta(VERSION)? {
            None => self.ledger.set_meta(VERSION, this),
            Some(first) if first == this => Ok(()),
            Some(first) => {
                session.note(&format!(
                    "lancer {first} started this run and lancer {this} goes on with it: where their numbers differ, models of \
                     the two are not compared fairly; start a new run where that matters"
                ));
                self.ledger.set_meta(&format!("{VERSION} {this}"), "goes on with the run")
            }
        }
    }
}

/// Under this name stands the version of lancer that started the run, among the facts of the run.
const VERSION: &str = "lancer";
