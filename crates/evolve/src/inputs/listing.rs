//! Which files a recipe's paths lead to.

use std::path::PathBuf;

use lancer_eval::TaskSpec;
use lancer_model::ModelFiles;

use crate::{error::EvolveError, ledger::InputKind, recipe::Recipe};

/// The files of one path of the recipe, in the order in which they are read.
pub(super) struct Listed {
    pub(super) kind: InputKind,
    pub(super) owner: String,
    pub(super) files: Vec<PathBuf>,
}

/// The files of some kinds.
pub(super) fn of(recipe: &Recipe, kinds: &[InputKind]) -> Result<Vec<Listed>, EvolveError> {
    let mut all = Vec::new();
    let mut add = |kind, owner: &PathBuf, files| {
        all.push(Listed { kind, owner: owner.to_string_lossy().into_owned(), files });
    };
    for &kind in kinds {
        match kind {
            InputKind::Seeds => add(kind, &recipe.seeds, lancer_data::files_of(&recipe.seeds)?),
            InputKind::Model => add(
                kind,
                &recipe.model,
                match ModelFiles::of(&recipe.model)? {
                    ModelFiles::File(file) => vec![file],
                    ModelFiles::Folder(files) => files.into_values().collect(),
                },
            ),
            InputKind::Task => {
                for task in &recipe.evaluate.tasks {
                    add(kind, task, vec![task.clone()]);
                }
            }
            InputKind::TaskData => {
                for task in &recipe.evaluate.tasks {
                    add(kind, task, lancer_data::files_of(TaskSpec::load(task)?.data())?);
                }
            }
        }
    }
    Ok(all)
}
