//! Where commands write: what `--overwrite` allows, and the checks before the work.

use std::{fs::File, ops::Deref, path::Path};

use clap::Args;
use lancer_evolve::Run;
use lancer_output::{Existing, Place, check_apart};
use tempfile::TempDir;

use crate::{failure::Failure, output};

/// Whether an output may take the place of an older one.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OverwriteOption {
    /// Replace the output if it is there: a file, or a folder if lancer wrote all that is in it.
    #[arg(long)]
    overwrite: bool,
}

impl OverwriteOption {
    pub(crate) fn existing(self) -> Existing {
        if self.overwrite { Existing::Overwritten } else { Existing::Kept }
    }
}

/// A place for rows: a file, or standard output.
pub(crate) struct RowsPlace {
    place: Place,
    /// Where the rows are until they are whole and go to standard output.
    scratch: Option<TempDir>,
}

impl Deref for RowsPlace {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl RowsPlace {
    /// Writes the rows to standard output, where they are to go there. They are whole or absent, as in a file.
    pub(crate) fn deliver(&self) -> Result<(), Failure> {
        if self.scratch.is_none() {
            return Ok(());
        }
        let mut rows = File::open(self.place.path()).map_err(|error| Failure::Failed(error.into()))?;
        output::print_rows(&mut rows)
    }
}

/// A place for rows, apart from what they are made of. `-` is standard output, where results then do not go.
pub(crate) fn of_rows(
    path: &Path,
    overwrite: OverwriteOption,
    inputs: &[&Path],
) -> Result<RowsPlace, Failure> {
    if path == Path::new("-") {
        output::keep_for_rows();
        let scratch = tempfile::tempdir().map_err(|error| Failure::Failed(error.into()))?;
        let place = Place::file(&scratch.path().join("stdout.jsonl"), Existing::Kept)?;
        return Ok(RowsPlace { place, scratch: Some(scratch) });
    }
    lancer_data::check_ending(path)?;
    check_inputs(path, inputs)?;
    Ok(RowsPlace { place: Place::file(path, overwrite.existing())?, scratch: None })
}

/// A place for a file of any kind, apart from what it is made of.
pub(crate) fn of_file(path: &Path, overwrite: OverwriteOption, inputs: &[&Path]) -> Result<Place, Failure> {
    check_inputs(path, inputs)?;
    Ok(Place::file(path, overwrite.existing())?)
}

/// A place for a model, a GGUF file or a folder, apart from what it is made of.
pub(crate) fn of_model(path: &Path, overwrite: OverwriteOption, inputs: &[&Path]) -> Result<Place, Failure> {
    check_inputs(path, inputs)?;
    let place = if is_gguf(path) { Place::file } else { Place::folder };
    Ok(place(path, overwrite.existing())?)
}

/// Refuses a folder in which there is no run.
pub(crate) fn existing_run(folder: &Path) -> Result<(), Failure> {
    if folder.join(Run::LEDGER).exists() {
        return Ok(());
    }
    let (folder, ledger) = (folder.display(), Run::LEDGER);
    Err(Failure::failed(format!("{folder} is no run: there is no {ledger} in it")))
}

/// Whether a path is one of a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// Refuses two outputs in one file.
pub(crate) fn check_two(one: &Place, other: &Place, name: &str) -> Result<(), Failure> {
    if one.path() == other.path() {
        return Err(Failure::usage(format!(
            "{name} is the output itself, {}; give another file",
            one.path().display()
        )));
    }
    Ok(())
}

/// Refuses an output that is an input, within one or around one. Inputs are files, folders or patterns.
fn check_inputs(output: &Path, inputs: &[&Path]) -> Result<(), Failure> {
    for input in inputs {
        if input.exists() {
            check_apart(output, input)?;
        } else {
            // That no file is found is said by who reads it.
            for file in lancer_data::files_at(input).unwrap_or_default() {
                check_apart(output, &file)?;
            }
        }
    }
    Ok(())
}
