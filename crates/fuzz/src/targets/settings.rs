//! Files that say what is to be done, and what was done.

use std::path::Path;

use lancer_eval::TaskSpec;
use lancer_evolve::{Recipe, ledger::Ledger};

use super::{file, fixture, outcome};
use crate::outcome::Outcome;

pub(super) fn task(input: &[u8], folder: &Path) -> Outcome {
    let text = String::from_utf8_lossy(input);
    outcome(TaskSpec::parse(&text, &folder.join("task.toml")).map(|task| task.name().to_owned()))
}

pub(super) fn tasks() -> Vec<Vec<u8>> {
    let exact = b"name = \"a\"\ndata = \"a.jsonl\"\n[prompt]\nformat = \"text\"\ntemplate = \"{{ q }}\"\n[few_shot]\nrecords = 2\n\
        [multiple_choice]\nchoices = { fields = [\"a\", \"b\"] }\nlabel = \"label\"\nscore = \"per_character\"\n";
    vec![fixture("tasks/everyday.toml"), fixture("tasks/held_out.toml"), exact.to_vec()]
}

pub(super) fn recipe(input: &[u8], folder: &Path) -> Outcome {
    match file(folder, "recipe.toml", input) {
        Ok(path) => outcome(Recipe::load(&path).and_then(|recipe| {
            recipe.validate()?;
            Ok(String::new())
        })),
        Err(outcome) => outcome,
    }
}

pub(super) fn recipes() -> Vec<Vec<u8>> {
    vec![fixture("first.toml"), Recipe::default().to_toml().into_bytes()]
}

/// Opens a ledger to read it.
pub(super) fn ledger(input: &[u8], folder: &Path) -> Outcome {
    match file(folder, "ledger.sqlite", input) {
        Ok(path) => outcome(Ledger::read(&path).map(|_| String::new())),
        Err(outcome) => outcome,
    }
}

pub(super) fn ledgers() -> Vec<Vec<u8>> {
    let made = tempfile::tempdir().ok().and_then(|folder| {
        let path = folder.path().join("ledger.sqlite");
        drop(Ledger::open(&path).ok()?);
        std::fs::read(path).ok()
    });
    made.into_iter().collect()
}
