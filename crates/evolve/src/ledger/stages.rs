//! Which stages are finished, what they took, and the facts of the run as a whole.

use std::collections::HashMap;

use lancer_backend::Usage;
use serde::Serialize;

use super::{Ledger, Phase};
use crate::{error::EvolveError, stage::Stage};

/// What a stage took, over all sessions of a run together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Timing {
    /// The iteration, from 1; 0 is what comes before the first.
    pub iteration: u32,
    /// The stage.
    pub stage: Stage,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Tokens that were read, reused and generated.
    pub usage: Usage,
    /// Tokens that were trained on, prompts included: those of the steps in the ledger. A step that was made again after a kill
    /// counts once, so that it is the same however often the run was stopped.
    pub trained: u64,
}

impl Ledger {
    /// A fact of the run as a whole.
    pub fn meta(&self, name: &str) -> Result<Option<String>, EvolveError> {
        self.value("SELECT value FROM meta WHERE name = ?1", [name])
    }

    pub(crate) fn set_meta(&self, name: &str, value: &str) -> Result<(), EvolveError> {
        self.write("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [name, value])
    }

    /// Whether a stage is finished.
    pub fn is_finished(&self, iteration: u32, stage: Stage) -> Result<bool, EvolveError> {
        let found: Option<i64> = self
            .value("SELECT 1 FROM stage WHERE iteration = ?1 AND stage = ?2", (iteration, stage.as_str()))?;
        Ok(found.is_some())
    }

    /// The last iteration of which every stage is finished; `None` before the first has ended.
    pub fn finished_iterations(&self) -> Result<Option<u32>, EvolveError> {
        self.value("SELECT max(iteration) FROM stage WHERE stage = ?1", [Stage::Merge.as_str()])
            .map(Option::flatten)
    }

    /// Marks a stage as finished, with the checksum of its rows.
    pub(crate) fn set_finished(&self, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
        let seal = self.seal(iteration, stage)?;
        self.write("INSERT OR IGNORE INTO stage VALUES (?1, ?2, ?3)", (iteration, stage.as_str(), seal))
    }

    /// Adds to what a stage took. To be called where the rows are written that it took that for, so that a kill loses both or
    /// none.
    pub(crate) fn add_timing(
        &self,
        (iteration, stage): (u32, Stage),
        seconds: f64,
        usage: Usage,
    ) -> Result<(), EvolveError> {
        let Usage { read, reused, generated } = usage;
        self.write(
            "INSERT INTO timing VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds, read = read + excluded.read,
                 reused = reused + excluded.reused, generated = generated + excluded.generated",
            (iteration, stage.as_str(), seconds, read, reused, generated),
        )
    }

    /// What each stage took, in the order in which stages are run.
    pub fn timings(&self) -> Result<Vec<Timing>, EvolveError> {
        let trained: HashMap<(u32, Stage), u64> = self
            .rows("SELECT iteration, phase, sum(tokens) FROM step GROUP BY iteration, phase", [], |row| {
                let stage = if row.get::<_, String>(1)? == Phase::Sft.as_str() {
                    Stage::Sft
                } else {
                    Stage::Preference
                };
                Ok(((row.get(0)?, stage), row.get(2)?))
            })?
            .into_iter()
            .collect();
        let mut timings = self
            .rows("SELECT iteration, stage, seconds, read, reused, generated FROM timing", [], |row| {
                let usage = Usage { read: row.get(3)?, reused: row.get(4)?, generated: row.get(5)? };
                let stage = Stage::from_name(&row.get::<_, String>(1)?);
                Ok(stage.map(|stage| {
                    let iteration = row.get(0)?;
                    let trained = trained.get(&(iteration, stage)).copied().unwrap_or(0);
                    Ok::<_, rusqlite::Error>(Timing {
                        iteration,
                        stage,
                        seconds: row.get(2)?,
                        usage,
                        trained,
                    })
                }))
            })?
            .into_iter()
            .flatten()
            .collect::<Result<Vec<_>, _>>()
            .map_err(super::failed(self.path(), "read"))?;
        timings.sort_by_key(|timing| (timing.iteration, timing.stage));
        Ok(timings)
    }
}
