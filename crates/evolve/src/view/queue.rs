//! What a person is asked to judge next.

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, Subject},
};

/// Something to judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeItem {
    /// A record or a pair.
    pub subject: Subject,
    /// The iteration that made it.
    pub iteration: u32,
    /// Its key.
    pub key: String,
    /// The prompt.
    pub prompt: String,
    /// The response, or the chosen side.
    pub response: String,
    /// The rejected side, of a pair.
    pub rejected: Option<String>,
    /// The reviewer's score of the response.
    pub score: Option<f64>,
    /// The reviewer's score of the rejected side.
    pub rejected_score: Option<f64>,
    /// How the rejected side was made.
    pub rejected_kind: Option<String>,
}

/// What is left to judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queue {
    /// The next items, the least certain first.
    pub items: Vec<JudgeItem>,
    /// How many are left, those in `items` included.
    pub left: u64,
    /// How many were judged.
    pub judged: u64,
}

/// The records or pairs of an iteration that nobody has judged, the least certain first: pairs whose scores are nearest to each
/// other, records whose score is nearest to `threshold`.
///
/// # Errors
/// What reading the ledger gives.
pub fn queue(
    ledger: &Ledger,
    subject: Subject,
    iteration: u32,
    threshold: f64,
    limit: usize,
) -> Result<Queue, EvolveError> {
    let judged = "SELECT count(DISTINCT key) FROM judgement WHERE subject = ?1 AND iteration = ?2";
    let judged = ledger.value(judged, (subject.as_str(), iteration))?.unwrap_or(0);
    let items = match subject {
        Subject::Pair => ledger.rows(
            &format!(
                "SELECT key, prompt, chosen, rejected, chosen_score, rejected_score, rejected_kind
                 {PAIRS} ORDER BY abs(chosen_score - rejected_score) IS NULL, abs(chosen_score - rejected_score), key
                 LIMIT ?2"
            ),
            (iteration, limit),
            |row| {
                Ok(JudgeItem {
                    subject,
                    iteration,
                    key: row.get(0)?,
                    prompt: row.get(1)?,
                    response: row.get(2)?,
                    rejected: row.get(3)?,
                    score: row.get(4)?,
                    rejected_score: row.get(5)?,
                    rejected_kind: row.get(6)?,
                })
            },
        )?,
        Subject::Record => ledger.rows(
            &format!(
                "SELECT record.key, prompt, response, review.score {RECORDS}
                 ORDER BY review.score IS NULL, abs(review.score - ?3), record.key LIMIT ?2"
            ),
            (iteration, limit, threshold),
            |row| {
                Ok(JudgeItem {
                    subject,
                    iteration,
                    key: row.get(0)?,
                    prompt: row.get(1)?,
                    response: row.get(2)?,
                    rejected: None,
                    score: row.get(3)?,
                    rejected_score: None,
                    rejected_kind: None,
                })
            },
        )?,
    };
    let rest = match subject {
        Subject::Pair => PAIRS,
        Subject::Record => RECORDS,
    };
    let left = ledger.value(&format!("SELECT count(*) {rest}"), [iteration])?.unwrap_or(0);
    Ok(Queue { items, left, judged })
}

/// The score from which on the run's recipe takes a record for good.
///
/// # Errors
/// What reading the ledger gives.
pub fn threshold(ledger: &Ledger) -> Result<f64, EvolveError> {
    Ok(crate::summary::recipe(ledger)?.annotate.sft_threshold)
}

const PAIRS: &str = "FROM pair WHERE iteration = ?1 AND NOT EXISTS (SELECT 1 FROM judgement
    WHERE subject = 'pair' AND judgement.key = pair.key AND judgement.iteration = pair.iteration)";

const RECORDS: &str = "FROM record LEFT JOIN review ON review.record = record.key
    AND review.iteration = max(record.iteration, 1) WHERE record.iteration = ?1
    AND NOT EXISTS (SELECT 1 FROM judgement WHERE subject = 'record' AND judgement.key = record.key)";
