//! Items of evaluation tasks, and which model an iteration starts from.

use serde::Serialize;

use super::Ledger;
use crate::error::EvolveError;

/// One item of a task, answered by the model of an iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationRow {
    /// The task's name.
    pub task: String,
    /// The item's number in the task, from 0.
    pub item: usize,
    /// What was measured: 1 or 0 for right or wrong, or a negative log-likelihood.
    pub value: f64,
    /// How much the item counts.
    pub weight: f64,
    /// How the value came about, as JSON.
    pub detail: String,
}

/// A model is not taken further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The number of the model that is kept instead.
    pub kept: u32,
    /// Why.
    pub reason: String,
}

impl Ledger {
    pub(crate) fn add_evaluation(&self, iteration: u32, row: &EvaluationRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO evaluation VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (iteration, &row.task, row.item, row.value, row.weight, &row.detail),
        )
    }

    /// The items that the model of an iteration has answered, by task and number; 0 is the model before the run.
    pub fn evaluations(&self, iteration: u32) -> Result<Vec<EvaluationRow>, EvolveError> {
        self.rows(
            "SELECT task, item, value, weight, detail FROM evaluation WHERE iteration = ?1 ORDER BY task, item",
            [iteration],
            |row| {
                Ok(EvaluationRow {
                    task: row.get(0)?,
                    item: row.get(1)?,
                    value: row.get(2)?,
                    weight: row.get(3)?,
                    detail: row.get(4)?,
                })
            },
        )
    }

    /// Sets the number of the model that an iteration starts from.
    pub(crate) fn set_start(&self, iteration: u32, model: u32, reason: &str) -> Result<(), EvolveError> {
        self.write("INSERT OR REPLACE INTO start VALUES (?1, ?2, ?3)", (iteration, model, reason))
    }

    /// The number of the model that an iteration starts from: the last one, unless the gate kept an older one.
    pub fn start(&self, iteration: u32) -> Result<u32, EvolveError> {
        Ok(self
            .value("SELECT model FROM start WHERE iteration = ?1", [iteration])?
            .unwrap_or(iteration.saturating_sub(1)))
    }

    /// The number of the model that the run has come to: that from which the iteration after the last finished one starts.
    pub fn kept(&self) -> Result<u32, EvolveError> {
        match self.finished_iterations()? {
            None => Ok(0),
            Some(last) => self.start(last + 1),
        }
    }

    /// Why the gate rejected the model of an iteration, and the model that is kept instead; `None` where it did not.
    pub fn rejection(&self, iteration: u32) -> Result<Option<Rejection>, EvolveError> {
        let rows = self.rows(
            "SELECT model, reason FROM start WHERE iteration = ?1 AND model <> ?2",
            (iteration + 1, iteration),
            |row| Ok(Rejection { kept: row.get(0)?, reason: row.get(1)? }),
        )?;
        Ok(rows.into_iter().next())
    }
}
