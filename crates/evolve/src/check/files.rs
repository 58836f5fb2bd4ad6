//! The models and exports of what is finished are there, and nothing is left of interrupted work.

use std::path::{Path, PathBuf};

use super::{Check, Promise};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Phase},
    leftovers, models,
    stage::Stage,
};

pub(super) fn check(ledger: &Ledger, run: &Path, in_use: bool) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Files);
    let last = ledger.finished_iterations()?.unwrap_or(0);
    let next = ledger.start(last + 1)?;
    for (name, _, iteration) in ledger.models()? {
        let path = models::within(run, &name);
        let is_fine_tuned = path == models::fine_tuned(run, iteration);
        if is_fine_tuned && ledger.is_finished(iteration, Stage::Preference)? {
            // Preference training was the last to need it.
            continue;
        }
        check.tested += 1;
        if path.exists() {
            continue;
        }
        let missing = format!("{} is missing", path.display());
        if iteration == 0 {
            check.notes.push(format!("{missing}; it is written again from the user's model"));
        } else if iteration >= last || iteration == next {
            check.broken.push(missing);
        } else {
            check.notes.push(format!("{missing}; no later iteration needs it"));
        }
    }
    for iteration in 1..=last {
        check.tested += 1;
        let export = models::export(run, iteration);
        if !export.join("README.md").exists() {
            check.notes.push(format!("{} is missing or was not finished", export.display()));
        }
    }
    if !in_use {
        let left = left(run, last)?;
        if let Some(first) = left.first() {
            check.notes.push(format!(
                "{} files or folders are left of interrupted work, the first {}; the run removes or replaces them when it goes \
                 on",
                left.len(),
                first.display()
            ));
        }
    }
    Ok(check)
}

/// What interrupted work has left: scratch files, and what only an iteration that is finished needed.
fn left(run: &Path, last: u32) -> Result<Vec<PathBuf>, EvolveError> {
    let mut left = leftovers::find(run)?;
    for iteration in 1..=last {
        let training =
            [Phase::Sft, Phase::Preference].map(|phase| models::checkpoints(run, iteration, phase.as_str()));
        left.extend(
            training.into_iter().chain([models::fine_tuned(run, iteration)]).filter(|path| path.exists()),
        );
    }
    Ok(left)
}
