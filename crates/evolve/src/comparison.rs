//! Two models of a run on the tasks that both have answered.

use std::collections::BTreeMap;

use lancer_eval::{
    BootstrapSettings, Comparison, Estimate, Metric, PairedItems, Task, compare, judge_together,
    overall_gain, weighted_mean,
};

use crate::{error::EvolveError, ledger::Ledger};

/// The name under which a task's metric stands among the facts of a run.
pub(crate) fn metric_name(task: &str) -> String {
    format!("metric:{task}")
}

/// The name under which a task's group stands among the facts of a run.
fn group_name(task: &str) -> String {
    format!("group:{task}")
}

/// What a task's values mean; `None` where the task is not known.
pub(crate) fn metric(ledger: &Ledger, task: &str) -> Result<Option<Metric>, EvolveError> {
    Ok(ledger.meta(&metric_name(task))?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The group of a task; its own name where it has none.
pub(crate) fn group(ledger: &Ledger, task: &str) -> Result<String, EvolveError> {
    Ok(ledger.meta(&group_name(task))?.unwrap_or_else(|| task.to_owned()))
}

/// Keeps what is needed to compare models on a task.
pub(crate) fn remember(ledger: &Ledger, task: &Task) -> Result<(), EvolveError> {
    ledger.set_meta(&metric_name(task.name()), &crate::ledger::json(&task.metric()))?;
    ledger.set_meta(&group_name(task.name()), task.group())
}

/// A task's items under two models, in the same order for both.
#[derive(Debug, Clone)]
pub(crate) struct PairedTask {
    pub(crate) task: String,
    pub(crate) group: String,
    pub(crate) metric: Metric,
    /// The items' numbers.
    pub(crate) items: Vec<usize>,
    /// Values and weights.
    pub(crate) before: Vec<(f64, f64)>,
    pub(crate) after: Vec<(f64, f64)>,
}

impl PairedTask {
    /// The mean after less the mean before.
    pub(crate) fn difference(&self) -> f64 {
        weighted_mean(self.after.iter().copied()) - weighted_mean(self.before.iter().copied())
    }
}

/// The items that both models have answered, by task.
pub(crate) fn paired(ledger: &Ledger, before: u32, after: u32) -> Result<Vec<PairedTask>, EvolveError> {
    let mut earlier: BTreeMap<(String, usize), (f64, f64)> = BTreeMap::new();
    for row in ledger.evaluations(before)? {
        earlier.insert((row.task, row.item), (row.value, row.weight));
    }
    let mut tasks: BTreeMap<String, PairedTask> = BTreeMap::new();
    for row in ledger.evaluations(after)? {
        let Some(&value) = earlier.get(&(row.task.clone(), row.item)) else { continue };
        if !tasks.contains_key(&row.task) {
            let Some(metric) = metric(ledger, &row.task)? else { continue };
            let group = group(ledger, &row.task)?;
            let task = row.task.clone();
            let (items, before, after) = (Vec::new(), Vec::new(), Vec::new());
            tasks.insert(row.task.clone(), PairedTask { task, group, metric, items, before, after });
        }
        if let Some(task) = tasks.get_mut(&row.task) {
            task.items.push(row.item);
            task.before.push(value);
            task.after.push((row.value, row.weight));
        }
    }
    Ok(tasks.into_values().collect())
}

/// The comparison of model `after` with model `before` on each task, over the items that both have answered, judged
/// together.
pub fn between(
    ledger: &Ledger,
    settings: &BootstrapSettings,
    before: u32,
    after: u32,
) -> Result<Vec<(String, Comparison)>, EvolveError> {
    Ok(judged(&paired(ledger, before, after)?, settings))
}

/// Each task's comparison, judged together.
pub(crate) fn judged(tasks: &[PairedTask], settings: &BootstrapSettings) -> Vec<(String, Comparison)> {
    let mut compared: Vec<(String, Comparison)> = tasks
        .iter()
        .map(|task| (task.task.clone(), compare(task.metric, &task.before, &task.after, settings)))
        .collect();
    judge_together(&mut compared.iter_mut().map(|(_, comparison)| comparison).collect::<Vec<_>>(), settings);
    compared
}

/// The mean gain over all tasks, in standard deviations.
pub(crate) fn gain(tasks: &[PairedTask], settings: &BootstrapSettings) -> Option<Estimate> {
    let items: Vec<PairedItems<'_>> = tasks
        .iter()
        .map(|task| PairedItems {
            group: &task.group,
            metric: task.metric,
            before: &task.before,
            after: &task.after,
        })
        .collect();
    overall_gain(&items, settings)
}
