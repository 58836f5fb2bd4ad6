//! The models that a run has written, each known by its content from when its stage was finished.

use std::path::{Path, PathBuf};

use super::Hashing;
use crate::{engines::RunnableModels, error::EvolveError, ledger::Ledger, models, stage::Stage};

/// The models within a run's folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    folder: &'a Path,
    ledger: &'a Ledger,
}

/// The name under which the form stands among the facts of a run.
const FORM: &str = "form";

impl<'a> Written<'a> {
    pub(crate) fn new(folder: &'a Path, ledger: &'a Ledger) -> Self {
        Self { folder, ledger }
    }

    /// The form in which the models are run, which never changes, since two forms round differently; none before the first
    /// model is there.
    pub(crate) fn form(&self) -> Result<Option<RunnableModels>, EvolveError> {
        Ok(self
            .ledger
            .meta(FORM)?
            .map(|form| if form == "gguf" { RunnableModels::Gguf } else { RunnableModels::Trainable }))
    }

    pub(crate) fn set_form(&self, form: RunnableModels) -> Result<(), EvolveError> {
        let name = match form {
            RunnableModels::Gguf => "gguf",
            RunnableModels::Trainable => "trainable",
        };
        self.ledger.set_meta(FORM, name)
    }

    /// What a stage that has just ended has written: each model with its content.
    pub(crate) fn of_stage(
        &self,
        iteration: u32,
        stage: Stage,
    ) -> Result<Vec<(PathBuf, String)>, EvolveError> {
        let paths = match stage {
            Stage::Import => vec![models::gguf(self.folder, 0)],
            Stage::Sft => vec![models::fine_tuned(self.folder, iteration)],
            Stage::Preference => {
                vec![models::trainable(self.folder, iteration), models::gguf(self.folder, iteration)]
            }
            _ => Vec::new(),
        };
        let hashing = Hashing::new(self.ledger);
        let there = paths.into_iter().filter(|path| path.exists());
        there.map(|path| hashing.of_model(&path).map(|content| (path, content))).collect()
    }

    /// Keeps the content of what a stage has written; to be called with what makes the stage finished.
    pub(crate) fn keep(
        &self,
        models: &[(PathBuf, String)],
        iteration: u32,
        stage: Stage,
    ) -> Result<(), EvolveError> {
        models
            .iter()
            .try_for_each(|(path, content)| self.ledger.set_model(&name(path), content, (iteration, stage)))
    }

    /// Takes the models of a run that an older lancer began for what they are.
    pub(crate) fn keep_older(&self) -> Result<(), EvolveError> {
        if self.form()?.is_some() || !self.ledger.is_finished(0, Stage::Import)? {
            return Ok(());
        }
        let form = if models::gguf(self.folder, 0).exists() {
            RunnableModels::Gguf
        } else {
            RunnableModels::Trainable
        };
        self.set_form(form)?;
        for iteration in 0.. {
            let stages = Stage::of(iteration);
            let mut is_begun = false;
            for &stage in stages {
                if self.ledger.is_finished(iteration, stage)? {
                    is_begun = true;
                    self.keep(&self.of_stage(iteration, stage)?, iteration, stage)?;
                }
            }
            if !is_begun {
                break;
            }
        }
        Ok(())
    }

    /// Whether a finished stage has written a model.
    pub(crate) fn is_known(&self, path: &Path) -> Result<bool, EvolveError> {
        Ok(self.ledger.model(&name(path))?.is_some())
    }

    /// Checks that a model is there and is what its stage wrote. One that no finished stage has written is not looked at.
    pub(crate) fn check(&self, path: &Path) -> Result<(), EvolveError> {
        let Some(expected) = self.ledger.model(&name(path))? else { return Ok(()) };
        if !path.exists() {
            return Err(EvolveError::ModelMissing { path: path.into() });
        }
        let found = Hashing::new(self.ledger).of_model(path)?;
        if found == expected {
            return Ok(());
        }
        let is_first = *path == models::gguf(self.folder, 0);
        let remedy =
            if is_first { "remove it to have it written again" } else { "start a new run in another folder" };
        Err(EvolveError::ModelChanged { path: path.into(), expected, found, remedy })
    }

    /// Checks all models when nothing is left to do: nobody should take one for a result that has changed since it was written.
    /// Models before the last may have been removed.
    pub(crate) fn check_all(&self, last: u32) -> Result<(), EvolveError> {
        let newest = [models::trainable(self.folder, last), models::gguf(self.folder, last)];
        for (name, _, _) in self.ledger.models()? {
            let path = place(self.folder, &name);
            if path.exists() || newest.contains(&path) {
                self.check(&path)?;
            }
        }
        Ok(())
    }
}

/// Where a model of this name is.
fn place(run: &Path, name: &str) -> PathBuf {
    run.join("models").join(name)
}

/// A model's name in the ledger.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
