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
    let mut tasks: BTreeMap<String, BTreeMap<usize, (f64, f64)>> = BTreeMap::new();
    for row in ledger.evaluations(before)? {
        tasks.entry(row.task).or_default().insert(row.item, (row.value, row.weight));
    }
    let mut pairs: BTreeMap<String, (Vec<(f64, f64)>, Vec<(f64, f64)>)> = BTreeMap::new();
    for row in ledger.evaluations(after)? {
        if let Some(&earlier) = tasks.get(&row.task).and_then(|items| items.get(&row.item)) {
            let (one, two) = pairs.entry(row.task).or_default();
            one.push(earlier);
            two.push((row.value, row.weight));
        }
    }
    let mut compared = Vec::new();
    for (task, (one, two)) in pairs {
        if let Some(metric) = metric(ledger, &task)? {
            compared.push((task, compare(metric, &one, &two, settings)));
        }
    }
    Ok(compared)
}
