//! A run: a folder with its recipe and its ledger, taken through the stages that are left.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use lancer_backend::Usage;

use crate::{
    budget,
    engines::Engines,
    error::EvolveError,
    files::{self, sha_256},
    ledger::{Ledger, Timing},
    leftovers,
    progress::Progress,
    recipe::Recipe,
    stage::Stage,
    stages::{self, Session},
};

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
    /// grow, and an engine that was not named may be. [`EvolveError::InputChanged`] where the file of seeds or the model is not what it was.
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
            let differences = recipe.differences(&started);
            if !differences.is_empty() {
                return Err(EvolveError::OtherRecipe {
                    path: folder.into(),
                    differences: differences.join("; "),
                });
            }
        }
        // The lock before the first file: two processes may be starting the same run.
        let ledger = Ledger::open(&folder.join(Self::LEDGER))?;
        leftovers::remove(folder)?;
        files::write(&file, &recipe.to_toml())?;
        let run = Self { folder: folder.into(), recipe, ledger };
        run.check_inputs()?;
        Ok(run)
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
        self.recipe.check_learners(engines)?;
        if let Some(migrated) = self.ledger.migrated() {
            progress.note(&migrated.to_string());
        }
        let mut session = Session::new(&self.recipe, &self.folder, &self.ledger, engines, progress);
        for iteration in 0..=self.recipe.iterations {
            if !budget::affords(&self.ledger, self.recipe.budget_tokens, iteration)? {
                session.note(&format!("the budget of tokens has no room for iteration {iteration}"));
                budget::set_last_iteration(&self.ledger, iteration - 1)?;
                break;
            }
            let all: &[Stage] = if iteration == 0 { &Stage::BEFORE } else { &Stage::ITERATION };
            for &stage in all {
                if self.ledger.is_finished(iteration, stage)? {
                    continue;
                }
                let since = Instant::now();
                let result = stages::run(&mut session, iteration, stage);
                let trained = session.take_trained();
                // The tokens that an engine read and wrote are in the ledger with the rows that they gave.
                let usage = Usage::default();
                let seconds = since.elapsed().as_secs_f64();
                self.ledger.add_timing(&Timing { iteration, stage, seconds, usage, trained })?;
                if result.is_ok() {
                    self.ledger.set_finished(iteration, stage)?;
                }
                self.ledger.flush()?;
                result?;
            }
        }
        self.ledger.flush()
    }

    /// Remembers what the inputs are, or checks that they are still the same.
    fn check_inputs(&self) -> Result<(), EvolveError> {
        for (name, path) in [("seeds_sha256", &self.recipe.seeds), ("model_sha256", &self.recipe.model)] {
            // Of a model's folder, the weights' description and the tokenizer stand for the whole.
            let path = if path.is_dir() { &path.join("config.json") } else { path };
            let found = sha_256(path)?;
            match self.ledger.meta(name)? {
                None => self.ledger.set_meta(name, &found)?,
                Some(known) if known == found => {}
                Some(_) => return Err(EvolveError::InputChanged { path: path.clone() }),
            }
        }
        self.ledger.set_meta("recipe", &self.recipe.to_toml())?;
        self.ledger.flush()
    }
}
