//! Training examples, reference log-probabilities, optimizer steps, and examples that were set aside.

use lancer_prefer::{
    EvaluationRecord, Mismatched, PreferenceMetrics, ReferenceLogProbs, SetAside, SetAsideReason,
    StepExample, StepRecord,
    loss::{PairLogProb, ResponseLogProb},
};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::{Ledger, from_json, json};
use crate::error::EvolveError;

/// What an example for fine-tuning teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SftKind {
    /// To respond.
    Response,
    /// To review.
    Review,
}

impl SftKind {
    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Review => "review",
        }
    }
}

/// An example for fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SftRow {
    /// Names it within the iteration.
    pub key: String,
    /// What it teaches.
    pub kind: SftKind,
    /// The record it was made from.
    pub record: String,
    /// That record's score.
    pub score: Option<f64>,
    /// The prompt.
    pub prompt: String,
    /// The response.
    pub response: String,
    /// The person's judgement that made it what it is.
    pub judgement: Option<u64>,
}

/// A preference pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairRow {
    /// Names it within the iteration.
    pub key: String,
    /// The record of the chosen response.
    pub record: String,
    /// The record of the rejected response, where it is one.
    pub rejected_record: Option<String>,
    /// How the rejected side was made.
    pub rejected_kind: String,
    /// The chosen response's score.
    pub chosen_score: Option<f64>,
    /// The rejected response's score, where it was reviewed.
    pub rejected_score: Option<f64>,
    /// The prompt.
    pub prompt: String,
    /// The preferred response.
    pub chosen: String,
    /// The other.
    pub rejected: String,
    /// The person's judgement that made it what it is.
    pub judgement: Option<u64>,
}

/// A phase of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fine-tuning.
    Sft,
    /// Preference optimisation.
    Preference,
}

impl Phase {
    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Preference => "preference",
        }
    }
}

/// An optimizer step.
pub type StepRow = StepRecord;

/// The loss on held-out examples after some step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldOutRow {
    /// Steps made until then.
    pub step: u64,
    /// The loss.
    pub loss: f64,
    /// Number of examples.
    pub examples: usize,
    /// For preference training.
    pub preference: Option<PreferenceMetrics>,
}

impl Ledger {
    pub(crate) fn add_sft(&self, iteration: u32, row: &SftRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO sft VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                iteration,
                &row.key,
                row.kind.as_str(),
                &row.record,
                row.score,
                &row.prompt,
                &row.response,
                row.judgement,
            ),
        )
    }

    /// The examples for fine-tuning of an iteration.
    pub fn sft(&self, iteration: u32) -> Result<Vec<SftRow>, EvolveError> {
        self.rows(
            "SELECT key, kind, record, score, prompt, response, judgement FROM sft WHERE iteration = ?1 ORDER BY key",
            [iteration],
            |row| {
                let kind = match row.get::<_, String>(1)?.as_str() {
                    "review" => SftKind::Review,
                    _ => SftKind::Response,
                };
                Ok(SftRow {
                    key: row.get(0)?,
                    kind,
                    record: row.get(2)?,
                    score: row.get(3)?,
                    prompt: row.get(4)?,
                    response: row.get(5)?,
                    judgement: row.get(6)?,
                })
            },
        )
    }

    pub(crate) fn add_pair(&self, iteration: u32, row: &PairRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO pair VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                iteration,
                &row.key,
                &row.record,
                &row.rejected_record,
                &row.rejected_kind,
                row.chosen_score,
                row.rejected_score,
                &row.prompt,
                &row.chosen,
                &row.rejected,
                row.judgement,
            ),
        )
    }

    /// The preference pairs of an iteration.
    pub fn pairs(&self, iteration: u32) -> Result<Vec<PairRow>, EvolveError> {
        self.rows(&format!("{PAIR} WHERE iteration = ?1 ORDER BY key"), [iteration], pair)
    }

    /// A preference pair of an iteration.
    pub fn pair(&self, iteration: u32, key: &str) -> Result<Option<PairRow>, EvolveError> {
        Ok(self.rows(&format!("{PAIR} WHERE iteration = ?1 AND key = ?2"), (iteration, key), pair)?.pop())
    }

    pub(crate) fn add_reference(
        &self,
        iteration: u32,
        pair: &str,
        value: &ReferenceLogProbs,
    ) -> Result<(), EvolveError> {
        let ReferenceLogProbs { pair: PairLogProb { chosen, rejected }, mismatched } = value;
        self.write(
            "INSERT OR REPLACE INTO reference VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                iteration,
                pair,
                chosen.sum,
                chosen.tokens,
                rejected.sum,
                rejected.tokens,
                mismatched.as_ref().map(|other| &other.response_of),
                mismatched.as_ref().map(|other| other.log_prob.sum),
                mismatched.as_ref().map(|other| other.log_prob.tokens),
            ),
        )
    }

    /// The log-probabilities of an iteration's pairs under the reference, by pair.
    pub fn references(&self, iteration: u32) -> Result<Vec<(String, ReferenceLogProbs)>, EvolveError> {
        self.rows(
            "SELECT pair, chosen, chosen_tokens, rejected, rejected_tokens, mismatched_of, mismatched,
                 mismatched_tokens FROM reference WHERE iteration = ?1",
            [iteration],
            |row| {
                let log_prob = |sum, tokens| {
                    Ok::<_, rusqlite::Error>(ResponseLogProb { sum: row.get(sum)?, tokens: row.get(tokens)? })
                };
                let response_of: Option<String> = row.get(5)?;
                let mismatched = response_of
                    .map(|response_of| {
                        Ok::<_, rusqlite::Error>(Mismatched { response_of, log_prob: log_prob(6, 7)? })
                    })
                    .transpose()?;
                let pair = PairLogProb { chosen: log_prob(1, 2)?, rejected: log_prob(3, 4)? };
                Ok((row.get(0)?, ReferenceLogProbs { pair, mismatched }))
            },
        )
    }

    pub(crate) fn add_step(&self, iteration: u32, phase: Phase, row: &StepRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO step VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                iteration,
                phase.as_str(),
                row.step,
                row.loss,
                row.learning_rate,
                row.gradient_norm,
                row.examples,
                row.tokens,
                row.target_tokens,
                row.preference.as_ref().map(json),
            ),
        )
    }

    /// The optimizer steps of a phase.
    pub fn steps(&self, iteration: u32, phase: Phase) -> Result<Vec<StepRow>, EvolveError> {
        self.rows(
            "SELECT step, loss, learning_rate, gradient_norm, examples, tokens, target_tokens, preference FROM step
             WHERE iteration = ?1 AND phase = ?2 ORDER BY step",
            (iteration, phase.as_str()),
            |row| {
                Ok(StepRecord {
                    step: row.get(0)?,
                    loss: row.get(1)?,
                    learning_rate: row.get(2)?,
                    gradient_norm: row.get(3)?,
                    examples: row.get(4)?,
                    tokens: row.get(5)?,
                    target_tokens: row.get(6)?,
                    preference: metrics(row.get(7)?, 7)?,
                })
            },
        )
    }

    pub(crate) fn add_step_examples(
        &self,
        iteration: u32,
        phase: Phase,
        (step, examples): (u64, &[StepExample]),
    ) -> Result<(), EvolveError> {
        // A step that is made again after a kill may have set an example aside.
        self.write(
            "DELETE FROM step_example WHERE iteration = ?1 AND phase = ?2 AND step = ?3",
            (iteration, phase.as_str(), step),
        )?;
        for (place, example) in examples.iter().enumerate() {
            self.write(
                "INSERT OR REPLACE INTO step_example VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (iteration, phase.as_str(), step, place, &example.key, example.loss, example.margin),
            )?;
        }
        Ok(())
    }

    pub(crate) fn add_held_out(
        &self,
        iteration: u32,
        phase: Phase,
        row: &EvaluationRecord,
    ) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO held_out VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (iteration, phase.as_str(), row.step, row.loss, row.examples, row.preference.as_ref().map(json)),
        )
    }

    pub(crate) fn add_set_aside(
        &self,
        iteration: u32,
        phase: Phase,
        row: &SetAside,
    ) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO set_aside VALUES (?1, ?2, ?3, ?4, ?5)",
            (iteration, phase.as_str(), &row.key, row.step, row.reason.name()),
        )
    }

    /// The examples that a phase set aside.
    pub fn set_aside(&self, iteration: u32, phase: Phase) -> Result<Vec<SetAside>, EvolveError> {
        self.rows(
            "SELECT key, step, reason FROM set_aside WHERE iteration = ?1 AND phase = ?2 ORDER BY step, key",
            (iteration, phase.as_str()),
            |row| {
                let reason: String = row.get(2)?;
                let reason = SetAsideReason::from_name(&reason).ok_or_else(|| {
                    let error = format!("there is no reason `{reason}` to set an example aside");
                    rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
                })?;
                Ok(SetAside { key: row.get(0)?, step: row.get(1)?, reason })
            },
        )
    }

    /// The losses on held-out examples of a phase.
    pub fn held_out(&self, iteration: u32, phase: Phase) -> Result<Vec<HeldOutRow>, EvolveError> {
        self.rows(
            "SELECT step, loss, examples, preference FROM held_out WHERE iteration = ?1 AND phase = ?2 ORDER BY step",
            (iteration, phase.as_str()),
            |row| {
                Ok(HeldOutRow {
                    step: row.get(0)?,
                    loss: row.get(1)?,
                    examples: row.get(2)?,
                    preference: metrics(row.get(3)?, 3)?,
                })
            },
        )
    }
}

const PAIR: &str = "SELECT key, record, rejected_record, rejected_kind, chosen_score, rejected_score, prompt,
    chosen, rejected, judgement FROM pair";

fn pair(row: &Row<'_>) -> rusqlite::Result<PairRow> {
    Ok(PairRow {
        key: row.get(0)?,
        record: row.get(1)?,
        rejected_record: row.get(2)?,
        rejected_kind: row.get(3)?,
        chosen_score: row.get(4)?,
        rejected_score: row.get(5)?,
        prompt: row.get(6)?,
        chosen: row.get(7)?,
        rejected: row.get(8)?,
        judgement: row.get(9)?,
    })
}

fn metrics(text: Option<String>, column: usize) -> rusqlite::Result<Option<PreferenceMetrics>> {
    text.map(|text| from_json(&text, column)).transpose()
}
