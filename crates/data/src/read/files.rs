//! The files at a path: itself, those of a folder, or those of a pattern.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{DataError, format::Format};

/// The files to read, in the order of their names. Of a folder, those with a known ending.
pub fn files_at(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mut files: Vec<PathBuf> = if path.is_dir() {
        let entries =
            fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
        entries.into_iter().map(|entry| entry.path()).collect()
    } else if let (false, Some(pattern)) =
        (path.exists(), path.to_str().filter(|path| path.contains(['*', '?', '['])))
    {
        let paths = glob::glob(pattern)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        paths.collect::<Result<_, _>>().map_err(|error| unreadable(error.into()))?
    } else {
        // One that is missing is reported when it is opened.
        return Ok(vec![path.to_owned()]);
    };
    files.retain(|file| file.is_file() && Format::of(file).is_ok());
    files.sort();
    if files.is_empty() {
        return Err(DataError::NoFile { path: path.to_owned() });
    }
    Ok(files)
}
