//! The examples of an optimizer step.

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, Phase, StepRow},
};

/// A step and its examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Batch {
    /// The step.
    pub step: StepRow,
    /// Its examples, in the order of their losses, the largest first; none where a lancer before ledgers of version 3 made it.
    pub examples: Vec<BatchExample>,
}

/// An example of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchExample {
    /// Its key.
    pub key: String,
    /// The record that its response, or its chosen side, is.
    pub record: String,
    /// Its loss before the step: nats a token, or of a pair its own preference loss.
    pub loss: f64,
    /// Chosen less rejected implicit reward before the step, of a pair.
    pub margin: Option<f64>,
    /// The prompt.
    pub prompt: String,
    /// The response, or the chosen side.
    pub response: String,
    /// The rejected side, of a pair.
    pub rejected: Option<String>,
}

/// A step and its examples; `None` where the step was not made.
///
/// # Errors
/// What reading the ledger gives.
pub fn batch(ledger: &Ledger, iteration: u32, phase: Phase, step: u64) -> Result<Option<Batch>, EvolveError> {
    let steps = ledger.steps(iteration, phase)?;
    let Some(step) = steps.into_iter().find(|row| row.step == step) else { return Ok(None) };
    let texts = match phase {
        Phase::Sft => {
            "sft.record, sft.prompt, sft.response, NULL FROM step_example AS seen JOIN sft
                       ON sft.iteration = seen.iteration AND sft.key = seen.key"
        }
        Phase::Preference => {
            "pair.record, pair.prompt, pair.chosen, pair.rejected FROM step_example AS seen JOIN pair
             ON pair.iteration = seen.iteration AND pair.key = seen.key"
        }
    };
    let examples = ledger.rows(
        &format!(
            "SELECT seen.key, seen.loss, seen.margin, {texts}
             WHERE seen.iteration = ?1 AND seen.phase = ?2 AND seen.step = ?3 ORDER BY seen.loss DESC, seen.place"
        ),
        (iteration, phase.as_str(), step.step),
        |row| {
            Ok(BatchExample {
                key: row.get(0)?,
                loss: row.get(1)?,
                margin: row.get(2)?,
                record: row.get(3)?,
                prompt: row.get(4)?,
                response: row.get(5)?,
                rejected: row.get(6)?,
            })
        },
    )?;
    Ok(Some(Batch { step, examples }))
}
