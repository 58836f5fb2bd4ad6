//! Time and tokens of stages, and which are finished.

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, Timing},
    stage::Stage,
};

/// What a stage took, over all sessions of the run together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: Stage,
    /// Whether it is finished.
    pub finished: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Tokens of prompts and continuations that were read.
    pub read: u64,
    /// Prompt tokens that did not have to be computed again.
    pub reused: u64,
    /// Tokens that were written.
    pub generated: u64,
    /// Tokens that were trained on, prompts included.
    pub trained: u64,
    /// Tokens read, written and trained on in a second; `None` where there are none.
    pub tokens_per_second: Option<f64>,
}

impl StageSummary {
    fn of(timing: &Timing, finished: bool) -> Self {
        let Timing { stage, seconds, usage, trained, .. } = *timing;
        let tokens = usage.read + usage.generated + trained;
        Self {
            stage,
            finished,
            seconds,
            read: usage.read,
            reused: usage.reused,
            generated: usage.generated,
            trained,
            tokens_per_second: (tokens > 0 && seconds > 0.0).then(|| tokens as f64 / seconds),
        }
    }
}

/// The stages of iteration 0 that were begun.
pub(super) fn before(ledger: &Ledger, timings: &[Timing]) -> Result<Vec<StageSummary>, EvolveError> {
    begun(ledger, timings, 0, &Stage::BEFORE)
}

/// The stages of an iteration that were begun.
pub(super) fn of_iteration(
    ledger: &Ledger,
    timings: &[Timing],
    iteration: u32,
) -> Result<Vec<StageSummary>, EvolveError> {
    begun(ledger, timings, iteration, &Stage::ITERATION)
}

/// The first stage of an iteration that is not finished.
pub(super) fn unfinished(ledger: &Ledger, iteration: u32) -> Result<Option<Stage>, EvolveError> {
    for stage in Stage::ITERATION {
        if !ledger.is_finished(iteration, stage)? {
            return Ok(Some(stage));
        }
    }
    Ok(None)
}

fn begun(
    ledger: &Ledger,
    timings: &[Timing],
    iteration: u32,
    stages: &[Stage],
) -> Result<Vec<StageSummary>, EvolveError> {
    let mut begun = Vec::new();
    for &stage in stages {
        let finished = ledger.is_finished(iteration, stage)?;
        let timing = timings.iter().find(|timing| timing.iteration == iteration && timing.stage == stage);
        let none =
            Timing { iteration, stage, seconds: 0.0, usage: lancer_backend::Usage::default(), trained: 0 };
        if finished || timing.is_some() {
            begun.push(StageSummary::of(timing.unwrap_or(&none), finished));
        }
    }
    Ok(begun)
}
