//! Which run a ledger, a recipe, models and exports belong to: all have the name that was drawn when the run was started, so that
//! what one run has made is never taken for another's.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
};

use lancer_model::ContentHash;
use toml::Table;

use crate::{error::EvolveError, files, ledger::Ledger, recipe::Recipe, run::Run};

/// Under this name stands the run's own among the facts of the run, and in `run.toml`.
pub(crate) const NAME: &str = "run";

/// The file with the run's name beside what the run makes.
const FILE: &str = "run.id";

/// The folders of what a run makes.
const MADE: [&str; 2] = ["models", "exports"];

/// An error where there are models or exports, but not the ledger that says what they are. To be asked before a ledger is made.
pub(crate) fn check_ledger(folder: &Path) -> Result<(), EvolveError> {
    let ledger = folder.join(Run::LEDGER);
    if ledger.exists() { Ok(()) } else { check_nothing_made(folder, &ledger) }
}

fn check_nothing_made(folder: &Path, ledger: &Path) -> Result<(), EvolveError> {
    match MADE.map(|made| folder.join(made)).into_iter().find(|made| is_filled(made)) {
        Some(made) => Err(EvolveError::LedgerGone { ledger: ledger.into(), made }),
        None => Ok(()),
    }
}

/// The run's name, which is drawn for a new run.
pub(crate) fn settle(folder: &Path, ledger: &Ledger) -> Result<String, EvolveError> {
    let Some(id) = ledger.meta(NAME)? else {
        // A ledger that has a recipe and no name is of an older lancer. What is left of a run that had made nothing is written
        // over.
        if ledger.meta("recipe")?.is_none() {
            check_nothing_made(folder, ledger.path())?;
        }
        let id = drawn(folder);
        ledger.set_meta(NAME, &id)?;
        ledger.flush()?;
        return Ok(id);
    };
    if let Some((place, found)) = beside(folder)?.into_iter().find(|(_, found)| *found != id) {
        return Err(EvolveError::OtherRun { ledger: ledger.path().into(), id, place, found });
    }
    Ok(id)
}

/// Writes the name beside what the run makes. Its `run.toml` comes first: folders without one are taken for somebody else's.
pub(crate) fn name_folders(folder: &Path, id: &str) -> Result<(), EvolveError> {
    for made in MADE.map(|made| folder.join(made)) {
        let file = made.join(FILE);
        let text = format!("{id}\n");
        if fs::read_to_string(&file).is_ok_and(|there| there == text) {
            continue;
        }
        fs::create_dir_all(&made).map_err(|source| EvolveError::Io {
            action: "make the folder",
            path: made,
            source,
        })?;
        files::write(&file, &text)?;
    }
    Ok(())
}

/// A recipe as `run.toml` holds it, with the run's name.
pub(crate) fn recipe_file(recipe: &Recipe, id: &str) -> String {
    format!(
        "# The run that this belongs to; its ledger and its models have the same name.\n{NAME} = \"{id}\"\n\n{}",
        recipe.to_toml()
    )
}

/// The names that lie beside the ledger, and where.
fn beside(folder: &Path) -> Result<Vec<(PathBuf, String)>, EvolveError> {
    let mut found = Vec::new();
    for path in MADE.map(|made| folder.join(made).join(FILE)) {
        if path.exists() {
            let text = read(&path)?;
            found.push((path, text.trim().to_owned()));
        }
    }
    let path = folder.join(Run::RECIPE);
    if path.exists() {
        let table: Table = toml::from_str(&read(&path)?).unwrap_or_default();
        if let Some(id) = table.get(NAME).and_then(toml::Value::as_str) {
            found.push((path, id.to_owned()));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String, EvolveError> {
    fs::read_to_string(path).map_err(|source| EvolveError::Io { action: "read", path: path.into(), source })
}

/// Whether there is more in a folder than a name.
fn is_filled(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != FILE))
}

/// 128 bits from the system's random numbers, with which the standard library seeds its hash tables.
fn drawn(folder: &Path) -> String {
    let numbers = [RandomState::new().hash_one(folder), RandomState::new().hash_one(std::process::id())];
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    ContentHash::of_bytes(&bytes).to_string()[..32].to_owned()
}
