//! The models of a run on its tasks.

use std::collections::BTreeMap;

use lancer_eval::{BootstrapSettings, Comparison, Estimate, Metric, estimate};
use serde::Serialize;

use crate::{comparison, error::EvolveError, ledger::Ledger};

/// A model on a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskEstimate {
    /// The task's name.
    pub task: String,
    /// What the values mean.
    pub metric: Metric,
    /// The mean with its interval.
    pub estimate: Estimate,
}

/// An iteration's model against `M_0` on a task, over the items that both have answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskSummary {
    /// The task's name.
    pub task: String,
    /// Both models and their paired difference, with intervals.
    pub comparison: Comparison,
}

/// A model on each task of which it has answered an item.
pub(super) fn estimates(
    ledger: &Ledger,
    model: u32,
    settings: &BootstrapSettings,
) -> Result<Vec<TaskEstimate>, EvolveError> {
    let mut tasks: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in ledger.evaluations(model)? {
        tasks.entry(row.task).or_default().push((row.value, row.weight));
    }
    let mut estimates = Vec::new();
    for (task, values) in tasks {
        if let Some(metric) = comparison::metric(ledger, &task)? {
            estimates.push(TaskEstimate { task, metric, estimate: estimate(&values, settings) });
        }
    }
    Ok(estimates)
}

/// A model against `M_0`, on each task and over all of them.
pub(super) fn against_first(
    ledger: &Ledger,
    model: u32,
    settings: &BootstrapSettings,
) -> Result<(Vec<TaskSummary>, Option<Estimate>), EvolveError> {
    let paired = comparison::paired(ledger, 0, model)?;
    let tasks = comparison::judged(&paired, settings);
    let tasks = tasks.into_iter().map(|(task, comparison)| TaskSummary { task, comparison }).collect();
    Ok((tasks, comparison::gain(&paired, settings)))
}
