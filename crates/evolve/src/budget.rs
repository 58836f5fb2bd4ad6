//! How many tokens a run has spent, and whether another iteration fits into its budget.

use crate::{
    error::EvolveError,
    ledger::{Ledger, Timing},
    stage::Stage,
};

/// Under this name stands, among the facts of a run, the last iteration that its budget had room for.
const LAST_ITERATION: &str = "last_iteration";

/// Tokens that an iteration generated and was trained on. Evaluation is left out: it is not what improves a model.
pub(crate) fn spent(ledger: &Ledger, iteration: u32) -> Result<u64, EvolveError> {
    let timings = ledger.timings()?;
    let counted = timings.iter().filter(|timing| timing.iteration == iteration && counts(timing));
    Ok(counted.map(|timing| timing.usage.generated + timing.trained).sum())
}

/// Whether a stage counts as what improving a model takes.
pub(crate) fn counts(timing: &Timing) -> bool {
    timing.iteration > 0 && timing.stage != Stage::Evaluate
}

/// Whether an iteration may begin: one that has begun goes on, and the first is always made.
pub(crate) fn affords(ledger: &Ledger, budget: Option<u64>, iteration: u32) -> Result<bool, EvolveError> {
    let Some(budget) = budget else { return Ok(true) };
    if iteration <= 1 || ledger.is_finished(iteration, Stage::ITERATION[0])? {
        return Ok(true);
    }
    let before = (1..iteration).map(|before| spent(ledger, before)).collect::<Result<Vec<_>, _>>()?;
    let next = before.last().copied().unwrap_or(0);
    Ok(before.iter().sum::<u64>() + next <= budget)
}

/// Remembers that the budget ends the run after an iteration.
pub(crate) fn set_last_iteration(ledger: &Ledger, iteration: u32) -> Result<(), EvolveError> {
    ledger.set_meta(LAST_ITERATION, &iteration.to_string())
}

/// The last iteration that the budget had room for, if it has ended the run.
pub(crate) fn last_iteration(ledger: &Ledger) -> Result<Option<u32>, EvolveError> {
    Ok(ledger.meta(LAST_ITERATION)?.and_then(|text| text.parse().ok()))
}
