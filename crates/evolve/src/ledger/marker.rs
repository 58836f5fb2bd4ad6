//! `ledger.lock`: held by the process that writes the ledger, and the number of its last commit.
//!
//! `SQLite` does not miss commits that are gone with a removed or damaged `ledger.sqlite-wal`, or an older copy of
//! `ledger.sqlite`. The number is in the ledger and here too, written here after the commit: where the ledger's is smaller, rows
//! are missing.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, Result};

use crate::error::EvolveError;

/// The open file.
#[derive(Debug)]
pub(super) struct Marker {
    file: File,
}

/// Whether a process has a ledger open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// One is working on the run.
    Written,
    /// None is.
    Idle,
}

impl Marker {
    /// The file beside a ledger.
    pub(super) fn beside(ledger: &Path) -> PathBuf {
        ledger.with_extension("lock")
    }

    /// Takes the lock of a ledger; and the number of its last commit, where one is known.
    pub(super) fn lock(ledger: &Path) -> Result<(Self, Option<u64>), EvolveError> {
        let path = Self::beside(ledger);
        let failed = |action| {
            let path = path.clone();
            move |source| EvolveError::Io { action, path, source }
        };
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("open"))?;
        let mut tried = file.try_lock();
        if matches!(tried, Err(TryLockError::WouldBlock)) {
            // `in_use` may have it for a moment.
            thread::sleep(Duration::from_millis(50));
            tried = file.try_lock();
        }
        match tried {
            Ok(()) => Ok((Self { file }, Self::read(ledger))),
            Err(TryLockError::WouldBlock) => Err(EvolveError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(failed("lock")(source)),
        }
    }

    /// Whether a process writes this ledger now.
    pub(super) fn in_use(ledger: &Path) -> Use {
        let Ok(file) = File::open(Self::beside(ledger)) else { return Use::Idle };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Use::Written,
            Ok(()) | Err(TryLockError::Error(_)) => Use::Idle,
        }
    }

    /// The number of the last commit to a ledger; `None` where none is known, as of a ledger of version 1.
    pub(super) fn read(ledger: &Path) -> Option<u64> {
        fs::read_to_string(Self::beside(ledger)).ok()?.trim().strip_prefix("commit ")?.parse().ok()
    }

    /// Counts a commit in the ledger, before it is made.
    pub(super) fn count(connection: &Connection) -> Result<u64> {
        connection
            .prepare_cached("UPDATE commits SET number = number + 1 RETURNING number")?
            .query_row([], |row| row.get(0))
    }

    /// The number of commits that the ledger knows of.
    pub(super) fn counted(connection: &Connection) -> Result<u64> {
        connection.query_row("SELECT number FROM commits", [], |row| row.get(0))
    }

    /// Remembers that a commit was made.
    pub(super) fn set(&mut self, number: u64) {
        let written = |mut file: &File| -> io::Result<()> {
            file.seek(SeekFrom::Start(0))?;
            // As long as the one before, so that no room is needed.
            file.write_all(format!("commit {number:020}\n").as_bytes())
        };
        // Where it cannot be written, an older number is there, and fewer losses are seen; nothing is lost.
        let _ = written(&self.file);
    }
}
