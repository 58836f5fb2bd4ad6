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
    let next = if last > 0 { ledger.start(last + 1)? } else { 0 };
    // A run that began without a GGUF file for its first model has none for the others.
    let has_gguf = models::gguf(run, 0).exists();
    for iteration in 1.. {
        if !ledger.is_finished(iteration, Stage::Preference)? {
            break;
        }
        let mut files = vec![models::trainable(run, iteration)];
        files.extend(has_gguf.then(|| models::gguf(run, iteration)));
        for file in files {
            check.tested += 1;
            if file.exists() {
                continue;
            }
            let missing = format!("{} is missing", file.display());
            // Only the newest model and the one that is gone on from are used again.
            if iteration >= last || iteration == next {
                check.broken.push(missing);
            } else {
                check.notes.push(format!("{missing}; no later iteration needs it"));
            }
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
