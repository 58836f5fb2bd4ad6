//! Every page of the file, every index, every constraint: what `SQLite` itself can find.

use std::path::Path;

use super::{Check, Promise};
use crate::{
    error::EvolveError,
    ledger::{CHECKED_AT_OPENING, Ledger, problems},
};

pub(super) fn check(ledger: &Ledger, path: &Path) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Pages);
    check.tested = ledger.value("PRAGMA page_count", [])?.unwrap_or(0);
    check.broken = ledger.query(|connection| problems(connection, "integrity_check"))?;
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > CHECKED_AT_OPENING {
        check.notes.push(format!(
            "the ledger has {} MiB; above {} MiB it is checked here only, not whenever it is opened",
            size >> 20,
            CHECKED_AT_OPENING >> 20
        ));
    }
    Ok(check)
}
