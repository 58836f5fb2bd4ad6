//! Two models of a run on the tasks that both have answered.

use std::collections::BTreeMap;

use lancer_eval::{BootstrapSettings, Comparison, Metric, compare};

use crate::{error::EvolveError, ledger::Ledger};

/// The name under which a task's metric stands among the facts of a run.
pub(crate) fn metric_name(task: &str) -> String {
    format!("metric:{task}")
}

/// What a task's values mean; `None` where the task is not known.
pub(crate) fn metric(ledger: &Ledger, task: &str) -> Result<Option<Metric>, EvolveError> {
    Ok(ledger.meta(&metric_name(task))?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The comparison of model `after` with model `before` on each task, over the items that both have answered.
pub fn between(
    ledger: &Ledger,
    settings: &BootstrapSettings,
    before: u32,
    after: u32,
) -> Result<Vec<(String, Comparison)>, EvolveError> {
    let mut items: BTreeMap<(String, usize), (f64, f64)> = BTreeMap::new();
    for row in ledger.evaluations(before)? {
        items.insert((row.task, row.item), (row.value, row.weight));
    }
    let mut tasks: BTreeMap<String, Answers> = BTreeMap::new();
    for row in ledger.evaluations(after)? {
        if let Some(&earlier) = items.get(&(row.task.clone(), row.item)) {
            let answers = tasks.entry(row.task).or_default();
            answers.before.push(earlier);
            answers.after.push((row.value, row.weight));
        }
    }
    let mut compared = Vec::new();
    for (task, Answers { before, after }) in tasks {
        if let Some(metric) = metric(ledger, &task)? {
            compared.push((task, compare(metric, &before, &after, settings)));
        }
    }
    Ok(compared)
}

/// Values and weights of a task's items, in the same order for both models.
#[derive(Default)]
struct Answers {
    before: Vec<(f64, f64)>,
    after: Vec<(f64, f64)>,
}
