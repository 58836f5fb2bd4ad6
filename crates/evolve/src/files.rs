//! Files that are whole or absent.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

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
