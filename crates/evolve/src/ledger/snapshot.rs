//! Reading a ledger that cannot be read where it is: beside it nothing can be written, which `SQLite` needs, or it is of an
//! older version, which is left as it is. What is read then is a copy.

use std::{fs, path::Path};

use rusqlite::{Connection, Error, ErrorCode};
use tempfile::TempDir;

use super::{
    damage::{self, failed},
    migrations, open_to_read,
};
use crate::error::EvolveError;

const NAME: &str = "ledger.sqlite";

/// A connection to the ledger, or to a copy of it where nothing can be written beside it.
pub(super) fn as_it_is(path: &Path) -> Result<(Connection, Option<TempDir>), EvolveError> {
    if !path.exists() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(EvolveError::Io { action: "open", path: path.into(), source });
    }
    match in_place(path) {
        Ok(connection) => Ok((connection, None)),
        Err(error) if is_for_want_of_files(&error) => {
            let folder = copied(path)?;
            let connection = Connection::open(folder.path().join(NAME)).map_err(failed(path, "open"))?;
            Ok((connection, Some(folder)))
        }
        Err(error) => Err(failed(path, "open")(error)),
    }
}

/// A connection to a ledger of this version, or to a copy of one, which is removed with its folder.
pub(super) fn open(path: &Path) -> Result<(Connection, Option<TempDir>), EvolveError> {
    let (connection, copy) = as_it_is(path)?;
    damage::check_at_opening(&connection, path)?;
    let Some(version) = migrations::version(&connection, path)? else {
        return Err(damage::damaged(path, "it is empty"));
    };
    let (connection, copy) = if version < migrations::VERSION {
        let folder = scratch(path)?;
        let file = folder.path().join("of-this-version.sqlite");
        migrations::copy(&connection, &file).map_err(failed(path, "copy"))?;
        let connection = Connection::open(&file).map_err(failed(path, "open a copy of"))?;
        migrations::apply(&connection, path, version, migrations::MIGRATIONS)?;
        (connection, Some(folder))
    } else {
        (connection, copy)
    };
    damage::check_tables(&connection, path)?;
    Ok((connection, copy))
}

fn in_place(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_to_read(path)?;
    // The files beside it are opened when something is read.
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether a file that belongs to the ledger cannot be made or opened.
fn is_for_want_of_files(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// A folder with the ledger and the file of its last commits.
fn copied(path: &Path) -> Result<TempDir, EvolveError> {
    let folder = scratch(path)?;
    let wal = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
    for (from, to) in [(path, NAME.to_owned()), (wal.as_path(), format!("{NAME}-wal"))] {
        if from.is_file() {
            fs::copy(from, folder.path().join(to)).map_err(|source| EvolveError::Io {
                action: "copy",
                path: from.into(),
                source,
            })?;
        }
    }
    Ok(folder)
}

fn scratch(path: &Path) -> Result<TempDir, EvolveError> {
    tempfile::tempdir().map_err(|source| EvolveError::Io {
        action: "make a folder for a copy of",
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Ledger;

    #[test]
    fn a_ledger_beside_which_nothing_can_be_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        ledger.set_meta("name", "value").unwrap();
        drop(ledger);
        // A folder in its place keeps the file from being made, whoever runs this test.
        fs::create_dir(folder.path().join("ledger.sqlite-shm")).unwrap();
        let read = Ledger::read(&path).unwrap();
        assert_eq!(read.meta("name").unwrap().as_deref(), Some("value"));
    }
}
