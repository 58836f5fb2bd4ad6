//! Whether a fetched file is the one that is meant.

use std::{fs::File, io, path::Path};

use sha2::{Digest, Sha256};

use crate::process::Failure;

/// Holds a file against its SHA-256, in hexadecimal digits.
pub(crate) fn check(file: &Path, expected: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(file).map_err(failed)?, &mut hasher).map_err(failed)?;
    let found = format!("{:x}", hasher.finalize());
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} has the SHA-256 {found}, expected {expected}; delete it and run this again to fetch it anew",
        file.display()
    )))
}
