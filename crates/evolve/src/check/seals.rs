//! The rows of finished stages are what they were when the stages were finished.

use super::{Check, Promise};
use crate::{error::EvolveError, ledger::Ledger};

pub(super) fn check(ledger: &Ledger) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Checksums);
    let mut without = 0;
    for (iteration, stage, sha256) in ledger.sealed()? {
        let Some(sha256) = sha256 else {
            without += 1;
            continue;
        };
        check.tested += 1;
        if ledger.seal(iteration, stage)? != sha256 {
            check.broken.push(format!("iteration {iteration}, {stage}: rows were changed, added or removed"));
        }
    }
    if without > 0 {
        check
            .notes
            .push(format!("{without} stages were finished by an older lancer, which made no checksums"));
    }
    Ok(check)
}
