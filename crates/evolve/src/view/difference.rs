//! Runs side by side: the settings in which they differ, and their models on the same items.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use lancer_eval::{BootstrapSettings, Comparison, Estimate};
use serde::Serialize;
use toml::{Table, Value};

use crate::{
    comparison::{self, PairedTask},
    error::EvolveError,
    ledger::{InputKind, Ledger},
};

/// A setting in which runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// Its name, such as `preference.loss.beta`.
    pub name: String,
    /// Its value in each run, in TOML; `None` where a run does not have it.
    pub values: Vec<Option<String>>,
}

/// A task that both runs have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskDifference {
    /// The task's name.
    pub task: String,
    /// The first run's model and the other one's, and their paired difference, with intervals.
    pub comparison: Comparison,
}

/// A run against the first of those that are compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDifference {
    /// The number of the model of the first run.
    pub first_model: u32,
    /// The number of the model of this run.
    pub model: u32,
    /// Each task that both models have answered, judged together.
    pub tasks: Vec<TaskDifference>,
    /// The mean gain of this run's model over the first one's over all tasks, in standard deviations.
    pub gain: Option<Estimate>,
    /// What makes the comparison less than fair, a sentence each.
    pub notes: Vec<String>,
}

/// The settings in which runs differ, and each run but the first against the first: the models that they have come to, on the
/// items that both have answered.
///
/// # Errors
/// What reading the ledgers gives.
pub fn difference(runs: &[&Ledger]) -> Result<(Vec<SettingDifference>, Vec<RunDifference>), EvolveError> {
    let tables = runs.iter().map(|ledger| settings(ledger)).collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<&String> = tables.iter().flat_map(BTreeMap::keys).collect();
    let settings = names
        .into_iter()
        .map(|name| SettingDifference {
            name: name.clone(),
            values: tables.iter().map(|table| table.get(name).cloned()).collect(),
        })
        .filter(|setting| setting.values.iter().any(|value| value != &setting.values[0]))
        .collect();
    let Some((first, others)) = runs.split_first() else { return Ok((settings, Vec::new())) };
    let bootstrap = crate::summary::recipe(first)?.evaluate.bootstrap;
    let others = others.iter().map(|other| against(first, other, &bootstrap)).collect::<Result<_, _>>()?;
    Ok((settings, others))
}

fn against(
    first: &Ledger,
    other: &Ledger,
    bootstrap: &BootstrapSettings,
) -> Result<RunDifference, EvolveError> {
    let (first_model, model) = (first.kept()?, other.kept()?);
    let (before, after) = (evaluated(first, first_model)?, evaluated(other, model)?);
    let mut notes = Vec::new();
    let mut paired = Vec::new();
    let changed = changed_tasks(first, other)?;
    for (task, items) in after {
        let Some(earlier) = before.get(&task) else {
            notes.push(format!("only one of the runs has the task {task}"));
            continue;
        };
        let Some(metric) = comparison::metric(first, &task)? else { continue };
        let group = comparison::group(first, &task)?;
        let mut pair =
            PairedTask { task, group, metric, items: Vec::new(), before: Vec::new(), after: Vec::new() };
        for (item, value) in items {
            if let Some(&was) = earlier.get(&item) {
                pair.items.push(item);
                pair.before.push(was);
                pair.after.push(value);
            }
        }
        if !pair.items.is_empty() {
            paired.push(pair);
        }
    }
    if !changed.is_empty() {
        notes.push(format!(
            "{} had other contents in the two runs: an item of the same number may be another question",
            changed.join(", ")
        ));
    }
    let tasks = comparison::judged(&paired, bootstrap)
        .into_iter()
        .map(|(task, comparison)| TaskDifference { task, comparison })
        .collect();
    Ok(RunDifference { first_model, model, tasks, gain: comparison::gain(&paired, bootstrap), notes })
}

/// Values and weights of the items that a model has answered, by task and number.
type Items = BTreeMap<String, BTreeMap<usize, (f64, f64)>>;

fn evaluated(ledger: &Ledger, model: u32) -> Result<Items, EvolveError> {
    let mut tasks = Items::new();
    for row in ledger.evaluations(model)? {
        tasks.entry(row.task).or_default().insert(row.item, (row.value, row.weight));
    }
    Ok(tasks)
}

/// The names of task files that both runs read, with other contents.
fn changed_tasks(first: &Ledger, other: &Ledger) -> Result<Vec<String>, EvolveError> {
    let hashes = |ledger: &Ledger| -> Result<BTreeMap<String, String>, EvolveError> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(ledger
            .inputs()?
            .into_iter()
            .filter(|input| matches!(input.kind, InputKind::Task | InputKind::TaskData))
            .map(|input| (name(&input.path), input.sha256))
            .collect())
    };
    let (one, two) = (hashes(first)?, hashes(other)?);
    let is_other = |(name, hash): &(String, String)| two.get(name).is_some_and(|other| other != hash);
    Ok(one.into_iter().filter(is_other).map(|(name, _)| name).collect())
}

/// The settings of a run by their full names, each value in TOML.
fn settings(ledger: &Ledger) -> Result<BTreeMap<String, String>, EvolveError> {
    let mut found = BTreeMap::new();
    let table: Table = ledger.meta("recipe")?.and_then(|text| text.parse().ok()).unwrap_or_default();
    flatten("", Value::Table(table), &mut found);
    Ok(found)
}

fn flatten(name: &str, value: Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (inner, value) in table {
                let name = if name.is_empty() { inner } else { format!("{name}.{inner}") };
                flatten(&name, value, found);
            }
        }
        value => {
            found.insert(name.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recipe, summary::hand_filled};

    #[test]
    fn runs_differ_in_settings_and_are_compared_item_by_item() {
        let (one, two) = (hand_filled::whole(), hand_filled::whole());
        one.ledger.set_meta("recipe", &Recipe::default().to_toml()).unwrap();
        let changed = Recipe::default().with(&["preference.loss.beta=0.7".to_owned()]).unwrap();
        two.ledger.set_meta("recipe", &changed.to_toml()).unwrap();
        let (settings, others) = difference(&[&one.ledger, &two.ledger]).unwrap();
        assert_eq!(settings.len(), 1, "{settings:?}");
        assert_eq!(settings[0].name, "preference.loss.beta");
        assert_eq!(settings[0].values[1].as_deref(), Some("0.7"));
        assert_eq!(others.len(), 1);
        for task in &others[0].tasks {
            assert!(task.comparison.difference.mean.abs() < 1e-12, "the runs are the same");
        }
    }
}
