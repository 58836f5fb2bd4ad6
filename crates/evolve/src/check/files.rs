//! The models and exports of what is finished are there and are what they were, and nothing is left of interrupted work.

use std::path::{Path, PathBuf};

use lancer_model::ContentHash;

use super::{Check, Promise};
use crate::{
    engines::RunnableModels,
    error::EvolveError,
    inputs::Written,
    ledger::{Ledger, Phase},
    leftovers, models,
    stage::Stage,
};

pub(super) fn check(ledger: &Ledger, run: &Path, in_use: bool) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Files);
    let last = ledger.finished_iterations()?.unwrap_or(0);
    let next = if last > 0 { ledger.start(last + 1)? } else { 0 };
    // A run that began without a GGUF file for its first model has none for the others.
    let has_gguf = match Written::new(run, ledger).form()? {
        Some(form) => form == RunnableModels::Gguf,
        None => models::gguf(run, 0).exists(),
    };
    for iteration in 1.. {
        if !ledger.is_finished(iteration, Stage::Preference)? {
            break;
        }
        let mut files = vec![models::trainable(run, iteration)];
        files.extend(has_gguf.then(|| models::gguf(run, iteration)));
        for file in files {
            check.tested += 1;
            if file.exists() {
                check.broken.extend(changed(ledger, &file)?);
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
    let first = models::gguf(run, 0);
    if first.exists() {
        check.tested += 1;
        check.broken.extend(changed(ledger, &first)?);
    }
    inputs(ledger, &mut check)?;
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

/// What is wrong with a model that is not what the run has written.
fn changed(ledger: &Ledger, model: &Path) -> Result<Option<String>, EvolveError> {
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(expected) = ledger.model(&name)? else { return Ok(None) };
    let found = ContentHash::of_model(model)?.to_string();
    Ok((found != expected).then(|| {
        format!(
            "{} is not what the run has written: its SHA-256 is {found}, and was {expected}",
            model.display()
        )
    }))
}

/// What is wrong with files that the run reads: it does not go on with them, but what it has made is whole.
fn inputs(ledger: &Ledger, check: &mut Check) -> Result<(), EvolveError> {
    for row in ledger.inputs()? {
        check.tested += 1;
        let state = if !row.path.exists() {
            "is missing"
        } else if ContentHash::of_file(&row.path)?.to_string() != row.sha256 {
            "has changed"
        } else {
            continue;
        };
        let (path, kind) = (row.path.display(), row.kind.title());
        check.notes.push(format!(
            "{path} ({kind}) {state} since the run was started, which does not go on without it"
        ));
    }
    Ok(())
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
