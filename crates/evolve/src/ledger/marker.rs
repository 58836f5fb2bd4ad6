//! `ledger.lock`: held by the process that writes the ledger, and the number of its last commit.
//!
//! `SQLite` does not miss commits that are gone with a removed or damaged `ledger.sqlite-wal`, or an older copy of
//! `ledger.sqlite`. The number is in the ledger and here too, written and synced here after the commit and before anything is
//! done that relies on it: where the ledger's is smaller, rows are missing.

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
        let text = fs::read(Self::beside(ledger)).ok()?;
        text.split(|&byte| byte == b'\n').filter_map(number).max()
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
    pub(super) fn set(&mut self, commit: u64) {
        let line = format!("commit {commit:020} {commit:020}\n");
        let written = |mut file: &File| -> io::Result<()> {
            // Two lines in turn, each as long as the one before: where a write is cut short, the other line is whole, and no room
            // is needed.
            file.seek(SeekFrom::Start(commit % 2 * line.len() as u64))?;
            file.write_all(line.as_bytes())?;
            // Otherwise the number could be older than the commits after a loss of power, and a damaged `-wal` file that lacks
            // some of them would pass for a whole one.
            file.sync_data()
        };
        // Where it cannot be written, an older number is there, and fewer losses are seen; nothing is lost.
        let _ = written(&self.file);
    }
}

/// The number in a line, which is there twice so that half a line is none; older versions wrote it once, in a file of one line.
fn number(line: &[u8]) -> Option<u64> {
    let line = str::from_utf8(line).ok()?.trim_start_matches('\0').strip_prefix("commit ")?;
    let (first, second) = line.split_once(' ').unwrap_or((line, line));
    (first == second).then(|| first.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Marker;

    #[test]
    fn a_line_that_is_cut_short_leaves_the_number_before() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.sqlite");
        let lock = Marker::beside(&ledger);
        let bytes_of = |commit| {
            let (mut marker, _) = Marker::lock(&ledger).unwrap();
            marker.set(commit);
            fs::read(&lock).unwrap()
        };
        // 39 becomes 40 by another first digit.
        let _ = bytes_of(38);
        let before = bytes_of(39);
        let after = bytes_of(40);
        assert_eq!(Marker::read(&ledger), Some(40));
        // The end of the line is the same byte in both.
        for written in 0..after.len() / 2 - 1 {
            fs::write(&lock, [&after[..written], &before[written..]].concat()).unwrap();
            assert_eq!(Marker::read(&ledger), Some(39), "after {written} bytes");
        }
    }

    #[test]
    fn the_line_of_older_versions_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.sqlite");
        fs::write(Marker::beside(&ledger), "commit 00000000000000000017\n").unwrap();
        assert_eq!(Marker::read(&ledger), Some(17));
        let (mut marker, committed) = Marker::lock(&ledger).unwrap();
        assert_eq!(committed, Some(17));
        marker.set(19);
        marker.set(20);
        assert_eq!(Marker::read(&ledger), Some(20));
    }
}
