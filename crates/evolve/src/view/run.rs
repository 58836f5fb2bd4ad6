//! A run as a whole: its summary, its funnels, and its training step by step.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{HeldOutRow, Ledger, Phase, StepRow},
    stage::Stage,
    summary::{FunnelRow, IterationSummary, Summary},
};

/// What the report and the page draw of a run, but for its records.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    /// The run in numbers.
    pub summary: Summary,
    /// The funnel of each iteration as rows, as far as it has come.
    pub funnels: Vec<Vec<FunnelRow>>,
    /// The names of stages for people.
    pub stages: BTreeMap<&'static str, &'static str>,
    /// Each phase of training that has made a step.
    pub training: Vec<Curves>,
}

/// A phase of training, step by step.
#[derive(Debug, Clone, Serialize)]
pub struct Curves {
    /// The iteration.
    pub iteration: u32,
    /// The phase.
    pub phase: Phase,
    /// Its optimizer steps.
    pub steps: Vec<StepRow>,
    /// The held-out examples during it.
    pub held_out: Vec<HeldOutRow>,
}

impl RunView {
    /// The run of a ledger in `folder`.
    ///
    /// # Errors
    /// What reading the ledger gives.
    pub fn of(ledger: &Ledger, folder: &Path) -> Result<Self, EvolveError> {
        let summary = Summary::of(ledger, folder)?;
        let mut training = Vec::new();
        for iteration in summary.iterations.iter().map(|iteration| iteration.iteration) {
            for phase in [Phase::Sft, Phase::Preference] {
                let steps = ledger.steps(iteration, phase)?;
                if !steps.is_empty() {
                    let held_out = ledger.held_out(iteration, phase)?;
                    training.push(Curves { iteration, phase, steps, held_out });
                }
            }
        }
        Ok(Self {
            funnels: summary.iterations.iter().map(IterationSummary::funnel_rows).collect(),
            summary,
            stages: Stage::ITERATION
                .into_iter()
                .chain(Stage::BEFORE)
                .map(|stage| (stage.as_str(), stage.title()))
                .collect(),
            training,
        })
    }
}
