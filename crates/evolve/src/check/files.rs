//! The models and exports of what is finished are there, and nothing is left of interrupted work.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Check, Promise};
use crate::{
    error::EvolveError,
    export,
    ledger::{Ledger, Phase},
    leftovers, models,
    stage::Stage,
    summary,
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
        if export.join(CARD).exists() {
            check.notes.extend(changed(ledger, &export, iteration)?.map(|file| {
                format!(
                    "{} does not hold what the rows say: it was edited or damaged, or a lancer of another version wrote it",
                    file.display()
                )
            }));
        } else {
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

/// The dataset card, which is written last, and has settings that may change later.
const CARD: &str = "README.md";

/// The first file of an export that is not byte for byte what the ledger's rows give.
fn changed(ledger: &Ledger, export: &Path, iteration: u32) -> Result<Option<PathBuf>, EvolveError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EvolveError::Io { action: "compare", path, source }
    };
    let again = tempfile::tempdir().map_err(failed(export))?;
    let written = export::write_into(again.path(), ledger, &summary::recipe(ledger)?, iteration)?;
    for file in written.iter().filter(|file| !file.ends_with(CARD)) {
        let own = export.join(file.strip_prefix(again.path()).unwrap_or(file));
        let expected = fs::read(file).map_err(failed(file))?;
        match fs::read(&own) {
            Ok(found) if found == expected => {}
            Ok(_) => return Ok(Some(own)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(own)),
            Err(error) => return Err(failed(&own)(error)),
        }
    }
    Ok(None)
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
