//! Opening a ledger to read it, also where nothing can be written beside it.
//!
//! In WAL mode a reader needs the file `-shm` beside the database, and makes it where it is missing. Where it cannot, because
//! the folder or the whole disk is read-only, the ledger is copied with its log to a folder for temporary files and read
//! there. `SQLite` could read the database itself as `immutable`, but would leave out what is only in the log of a killed run.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::failed;
use crate::error::EvolveError;

/// A connection that only reads, with the folder of the copy where it is one.
pub(super) fn open(path: &Path) -> Result<(Connection, Option<TempDir>), EvolveError> {
    match connect(path) {
        Ok(connection) => Ok((connection, None)),
        Err(error) if lacks_room_beside(&error) => {
            let (folder, copy) = copied(path)?;
            Ok((connect(&copy).map_err(failed(path, "open"))?, Some(folder)))
        }
        Err(error) => Err(failed(path, "open")(error)),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // Nothing is read before the first question.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn lacks_room_beside(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
    )
}

/// A copy of a ledger that no run is writing.
fn copied(path: &Path) -> Result<(TempDir, PathBuf), EvolveError> {
    let failed = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| EvolveError::Io { action, path, source }
    };
    let lock = path.with_extension("lock");
    let held = File::open(&lock);
    if let Ok(held) = &held
        && matches!(held.try_lock_shared(), Err(TryLockError::WouldBlock))
    {
        return Err(EvolveError::InUse { path: lock });
    }
    let folder = tempfile::tempdir().map_err(failed("make a folder for a copy of", path))?;
    let copy = folder.path().join("ledger.sqlite");
    for ending in ["", "-wal"] {
        let from = with(path, ending);
        // Not by `fs::copy`, which makes the copy as read-only as the ledger.
        let copy = File::open(&from)
            .and_then(|mut from| io::copy(&mut from, &mut File::create(with(&copy, ending))?));
        match copy {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !ending.is_empty() => {}
            copy => {
                copy.map_err(failed("read", &from))?;
            }
        }
    }
    Ok((folder, copy))
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
