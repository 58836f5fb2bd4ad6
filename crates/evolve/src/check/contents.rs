//! The files that the run reads, and the models that it has written, have the contents that they had.

use std::path::Path;

use lancer_model::{ContentHash, ModelError};

use super::{Check, Promise};
use crate::{error::EvolveError, ledger::Ledger, models};

pub(super) fn check(ledger: &Ledger, run: &Path) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Contents);
    for input in ledger.inputs()? {
        let what = format!("{} ({})", input.path.display(), input.kind.title());
        check.compare(&input.path, &what, &input.sha256, ContentHash::of_file);
    }
    let models = ledger.models()?;
    for (name, sha256, _) in &models {
        let path = models::within(run, name);
        // Whether it should be there is for another check.
        if path.exists() {
            check.compare(&path, &path.display().to_string(), sha256, ContentHash::of_model);
        }
    }
    if models.is_empty() && ledger.finished_iterations()?.is_some() {
        check.notes.push("an older lancer worked on the run, which kept no hashes of its models".into());
    }
    Ok(check)
}

impl Check {
    fn compare(
        &mut self,
        path: &Path,
        what: &str,
        expected: &str,
        hash: impl Fn(&Path) -> Result<ContentHash, ModelError>,
    ) {
        self.tested += 1;
        match hash(path) {
            Ok(found) if found.to_string() == expected => {}
            Ok(_) => self.broken.push(format!("{what} has changed since the run knew it")),
            // It may be wanted no more, or be on a disk that is not there now.
            Err(_) if !path.exists() => {
                self.notes.push(format!(
                    "{what} is missing; the run cannot go on without it where it is read again"
                ));
            }
            Err(error) => self.broken.push(format!("{what} cannot be read: {error}")),
        }
    }
}
