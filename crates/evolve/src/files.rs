//! Files that are whole or absent.

use std::{fs, io, path::Path};

use lancer_output::{Existing, Place};

use crate::{error::EvolveError, run::Run};

/// Writes a text, in place of what a run has there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), EvolveError> {
    whole(path, |scratch| {
        fs::write(scratch, text).map_err(|source| EvolveError::Io {
            action: "write",
            path: path.into(),
            source,
        })
    })
}

/// Writes a file, or where its name has no ending a folder, in place of what a run has there. `write` gets the path of
/// something that does not exist yet.
pub(crate) fn whole(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), EvolveError>,
) -> Result<(), EvolveError> {
    let place = match path.extension() {
        Some(_) => Place::file(path, Existing::Own)?,
        None => Place::folder(path, Existing::Own)?,
    };
    place.write(write)
}

/// What a run writes into its folder, and replaces there.
const WRITTEN: [&str; 5] = ["models", "exports", "training", "report.html", "rejects.jsonl"];

/// Checks that a folder is a run's own or may become one, before anything is written into it.
pub(crate) fn check_run(folder: &Path) -> Result<(), EvolveError> {
    Place::file(&folder.join(Run::RECIPE), Existing::Own)?;
    // A run that was killed while it began may have its ledger only.
    if [Run::RECIPE, Run::LEDGER].iter().any(|name| folder.join(name).exists()) {
        return Ok(());
    }
    match WRITTEN.iter().find(|name| folder.join(name).exists()) {
        Some(&file) => Err(EvolveError::NoRunFolder { folder: folder.into(), file }),
        None => Ok(()),
    }
}

/// Removes a file or folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), EvolveError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(EvolveError::Io { action: "remove", path: path.into(), source })
        }
        _ => Ok(()),
    }
}
