//! The uninterrupted run of a world, with which others are compared.

use std::path::Path;

use lancer_evolve::check::check;
use lancer_faults::record::{self, Record};

use crate::{
    course::Place,
    ending::Ending,
    folder::{self, Files},
    invariant::{Broken, Invariant},
    ledger::{self, Tables},
    world::World,
};

/// What an uninterrupted run came to.
pub(crate) struct Reference {
    rows: Tables,
    files: Files,
    /// The calls that it made.
    pub(crate) calls: Vec<Record>,
}

/// Tables in which an uninterrupted run of every world has rows: without them a comparison would say nothing.
const FILLED: [&str; 11] = [
    "record",
    "sample",
    "review",
    "verdict",
    "sft",
    "pair",
    "reference",
    "step",
    "evaluation",
    "pool",
    "stage",
];

impl Reference {
    /// Runs a world in a place without trouble.
    pub(crate) fn make(world: World, place: &Place) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        place.prepare().map_err(text)?;
        let life = place.live(world, 1, 1000, None, false).map_err(text)?;
        if life.ending != Ending::Finished {
            return Err(format!("the uninterrupted run of {world}: {}", life.ending));
        }
        let reference = Self::taken(place)?;
        let spoiled: &[&str] = if world == World::Spoiled { &["set_aside"] } else { &[] };
        for table in FILLED.iter().chain(spoiled).copied() {
            if reference.rows.get(table).is_none_or(std::collections::BTreeSet::is_empty) {
                return Err(format!("the uninterrupted run of {world} has no row in {table}"));
            }
        }
        Ok(reference)
    }

    /// What the run that has been made in a place came to.
    pub(crate) fn taken(place: &Place) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let rows = ledger::rows(&place.run(), &place.inputs(), &place.scratch())?;
        let files = files(&place.run(), &place.inputs()).map_err(text)?;
        Ok(Self { rows, files, calls: record::read(&place.record()).map_err(text)? })
    }

    /// Whether it has a file of this name.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// Compares a finished run with it.
    pub(crate) fn compare(&self, place: &Place) -> Result<(), Broken> {
        ledger::is_whole(&place.run(), &place.scratch())
            .map_err(|error| Broken::new(Invariant::LedgerWhole, error))?;
        if let Some(broken) = checked(place)? {
            return Err(Broken::new(Invariant::LedgerWhole, format!("lancer check: {broken}")));
        }
        let rows = ledger::rows(&place.run(), &place.inputs(), &place.scratch())
            .map_err(|error| Broken::new(Invariant::LedgerWhole, error))?;
        let names = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
        if names(&rows) != names(&self.rows) {
            return Err(Broken::new(Invariant::SameRows, format!("tables {:?}", names(&rows))));
        }
        for (name, expected) in self.rows.iter().filter(|(name, _)| !ledger::OF_TIME.contains(&name.as_str()))
        {
            let found = &rows[name];
            let (missing, more) = (expected.difference(found), found.difference(expected));
            if let Some(first) = more.clone().next().or(missing.clone().next()) {
                let detail = format!(
                    "table {name}: {} rows are missing, {} are others; {}",
                    missing.count(),
                    more.count(),
                    ledger::shown(first)
                );
                return Err(Broken::new(Invariant::SameRows, detail));
            }
        }
        let files = files(&place.run(), &place.inputs())
            .map_err(|error| Broken::new(Invariant::SameFiles, error.to_string()))?;
        if let Some(more) = files.keys().find(|name| !self.files.contains_key(*name)) {
            return Err(Broken::new(Invariant::NothingLeft, more.as_str()));
        }
        for (name, expected) in &self.files {
            match files.get(name) {
                None => return Err(Broken::new(Invariant::SameFiles, format!("{name} is missing"))),
                Some(found) if found != expected && is_kept_by_the_byte(name) => {
                    let detail = format!(
                        "{name} has {} bytes ({}), and should have {} ({})",
                        found.len(),
                        folder::hash(found),
                        expected.len(),
                        folder::hash(expected)
                    );
                    return Err(Broken::new(Invariant::SameFiles, detail));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The first thing that `lancer check` finds.
pub(crate) fn checked(place: &Place) -> Result<Option<String>, Broken> {
    let checked = check(&place.run());
    let checked = checked.map_err(|error| Broken::new(Invariant::LedgerWhole, error.to_string()))?;
    Ok(checked.checks.into_iter().flat_map(|check| check.broken).next())
}

/// The report and the lists of files show times.
fn is_kept_by_the_byte(name: &str) -> bool {
    name != "report.html" && !name.ends_with(".lancer-files")
}

/// The files of a run but its ledger, with the paths of the run and of the inputs taken out of texts.
fn files(run: &Path, inputs: &Path) -> std::io::Result<Files> {
    let mut files = folder::read(run)?;
    files.retain(|name, _| !name.starts_with("ledger."));
    let (run, inputs) = (run.display().to_string(), inputs.display().to_string());
    // The name that the run has drawn.
    let own = files.get("models/run.id").map(|text| String::from_utf8_lossy(text).trim().to_owned());
    for bytes in files.values_mut() {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let text = text.replace(&run, "RUN").replace(&inputs, "INPUTS");
            let text = own.as_ref().map_or(text.clone(), |own| text.replace(own, "NAME"));
            *bytes = text.into_bytes();
        }
    }
    Ok(files)
}
