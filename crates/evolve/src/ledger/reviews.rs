//! Reviews and the reviewer's calibration.

use lancer_review::Calibrated;
use rusqlite::Row;
use serde::Serialize;

use super::{Ledger, from_json, json};
use crate::error::EvolveError;

/// A review of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewRow {
    /// The iteration.
    pub iteration: u32,
    /// The record.
    pub record: String,
    /// 0 to 10; `None` where the review could not be read.
    pub score: Option<f64>,
    /// Why there is no score.
    pub reason: Option<String>,
    /// What the score was made of, as JSON.
    pub detail: String,
}

impl Ledger {
    pub(crate) fn set_calibration(&self, iteration: u32, value: &Calibrated) -> Result<(), EvolveError> {
        self.write("INSERT OR REPLACE INTO calibration VALUES (?1, ?2)", (iteration, json(value)))
    }

    /// The reviewer of an iteration, and how well it tells seeds from damaged seeds.
    pub fn calibration(&self, iteration: u32) -> Result<Option<Calibrated>, EvolveError> {
        let rows = self.rows("SELECT value FROM calibration WHERE iteration = ?1", [iteration], |row| {
            from_json(&row.get::<_, String>(0)?, 0)
        })?;
        Ok(rows.into_iter().next())
    }

    pub(crate) fn add_review(&self, row: &ReviewRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO review VALUES (?1, ?2, ?3, ?4, ?5)",
            (row.iteration, &row.record, row.score, &row.reason, &row.detail),
        )
    }

    /// The reviews of an iteration, of seeds and of new records.
    pub fn reviews(&self, iteration: u32) -> Result<Vec<ReviewRow>, EvolveError> {
        self.rows(&format!("{REVIEW} WHERE iteration = ?1 ORDER BY record"), [iteration], review)
    }

    /// The reviews of a record, by iteration.
    pub fn reviews_of(&self, record: &str) -> Result<Vec<ReviewRow>, EvolveError> {
        self.rows(&format!("{REVIEW} WHERE record = ?1 ORDER BY iteration"), [record], review)
    }
}

const REVIEW: &str = "SELECT iteration, record, score, reason, detail FROM review";

fn review(row: &Row<'_>) -> rusqlite::Result<ReviewRow> {
    Ok(ReviewRow {
        iteration: row.get(0)?,
        record: row.get(1)?,
        score: row.get(2)?,
        reason: row.get(3)?,
        detail: row.get(4)?,
    })
}
