//! The model of an iteration on held-out tasks.

use std::{collections::HashSet, ops::ControlFlow};

use lancer_backend::Seed;
use lancer_data::EvaluationTexts;
use lancer_eval::{EvalSink, ItemResult, Task, TaskSpec};

use super::{Groups, Recording, Session};
use crate::{comparison, error::EvolveError, ledger::EvaluationRow, recipe::Recipe, stage::Stage};

/// Items that are asked together: enough that what their prompts begin with in common is read seldom, few enough that little is
/// done again when a run is killed.
const GROUP: usize = 64;

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let tasks = load(session)?;
    let answered: HashSet<(String, usize)> =
        session.ledger.evaluations(iteration)?.into_iter().map(|row| (row.task, row.item)).collect();
    for task in &tasks {
        comparison::remember(session.ledger, task)?;
        let groups =
            Groups::new(task.len(), GROUP, 1, |item| answered.contains(&(task.name().to_owned(), item)));
        // The same seed for every model of every run: they are compared item by item.
        let seed = Seed(0).derive("evaluate");
        session.work(
            (iteration, Stage::Evaluate),
            iteration,
            ("items", &groups),
            |backend, group, recording| {
                let items: Vec<usize> = group.collect();
                lancer_eval::evaluate(backend, task, &items, seed, &mut Sink { recording, task: task.name() })
            },
            |ledger, row| ledger.add_evaluation(iteration, row),
        )?;
    }
    Ok(())
}

fn load(session: &Session<'_>) -> Result<Vec<Task>, EvolveError> {
    let mut tasks = Vec::new();
    let mut names = HashSet::new();
    for path in &session.recipe.evaluate.tasks {
        let spec = TaskSpec::load(path)?;
        if !names.insert(spec.name().to_owned()) {
            return Err(EvolveError::Recipe {
                path: path.clone(),
                reason: format!("another task has the name `{}`; give each its own", spec.name()),
            });
        }
        let rows = lancer_data::read_rows(spec.data())?;
        if let Some(reject) = rows.rejects.first() {
            return Err(EvolveError::Recipe {
                path: spec.data().to_path_buf(),
                reason: format!("line {}: {}", reject.place, reject.reason),
            });
        }
        tasks.push(Task::new(spec, rows.rows)?);
    }
    Ok(tasks)
}

struct Sink<'a, 'b> {
    recording: &'a mut Recording<'b, EvaluationRow>,
    task: &'a str,
}

impl EvalSink for Sink<'_, '_> {
    fn evaluated(&mut self, result: ItemResult) -> ControlFlow<()> {
        self.recording.row(EvaluationRow {
            task: self.task.to_owned(),
            item: result.item,
            value: result.value,
            weight: result.weight,
            detail: crate::ledger::json(&result.detail),
        })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.recording.tokens(tokens)
    }
}

/// The texts of all tasks, also those of records that are not evaluated.
pub(super) fn evaluation_texts(recipe: &Recipe) -> Result<EvaluationTexts, EvolveError> {
    let mut texts = EvaluationTexts::new(recipe.decontaminate);
    for path in &recipe.evaluate.tasks {
        let spec = TaskSpec::load(path)?;
        texts.add(spec.name(), &lancer_data::read_rows(spec.data())?.rows);
    }
    Ok(texts)
}
