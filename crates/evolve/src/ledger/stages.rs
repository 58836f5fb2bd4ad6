//! Which stages are finished, what they took, and the facts of the run as a whole.

use lancer_backend::Usage;
use serde::Serialize;

use super::Ledger;
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
    /// Tokens that were trained on, prompts included.
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

    pub(crate) fn add_timing(&self, more: &Timing) -> Result<(), EvolveError> {
        let Usage { read, reused, generated } = more.usage;
        self.write(
            "INSERT INTO timing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds, read = read + excluded.read,
                 reused = reused + excluded.reused, generated = generated + excluded.generated,
                 trained = trained + excluded.trained",
            (more.iteration, more.stage.as_str(), more.seconds, read, reused, generated, more.trained),
        )
    }

    /// What each stage took, in the order in which stages are run.
    pub fn timings(&self) -> Result<Vec<Timing>, EvolveError> {
        let mut timings = self
            .rows(
                "SELECT iteration, stage, seconds, read, reused, generated, trained FROM timing",
                [],
                |row| {
                    let usage = Usage { read: row.get(3)?, reused: row.get(4)?, generated: row.get(5)? };
                    let stage = Stage::from_name(&row.get::<_, String>(1)?);
                    Ok(stage.map(|stage| {
                        Ok::<_, rusqlite::Error>(Timing {
                            iteration: row.get(0)?,
                            stage,
                            seconds: row.get(2)?,
                            usage,
                            trained: row.get(6)?,
                        })
                    }))
                },
            )?
            .into_iter()
            .flatten()
            .collect::<Result<Vec<_>, _>>()
            .map_err(super::failed(self.path(), "read"))?;
        timings.sort_by_key(|timing| (timing.iteration, timing.stage));
        Ok(timings)
    }
}
