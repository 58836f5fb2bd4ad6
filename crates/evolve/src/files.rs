//! Files that are whole or absent.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::error::EvolveError;

/// Writes a text beside its place first, then moves it there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), EvolveError> {
    let failed = |action| {
        let path = path.to_path_buf();
        move |source| EvolveError::Io { action, path, source }
    };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut file = File::create(&unfinished).map_err(failed("write"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    fs::rename(&unfinished, path).map_err(failed("write"))
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

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha_256(path: &Path) -> Result<String, EvolveError> {
    let failed = |source| EvolveError::Io { action: "read", path: path.into(), source };
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path).map_err(failed)?, &mut hasher).map_err(failed)?;
    Ok(format!("{:x}", hasher.finalize()))
}
