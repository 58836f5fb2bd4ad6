//! The ledger: everything that a run made, in one `SQLite` file, written when it exists.

mod connection;
mod damage;
mod evaluations;
mod inputs;
mod judgements;
mod marker;
mod migrations;
mod records;
mod reviews;
mod seal;
mod snapshot;
mod stages;
mod training;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Params, Row, types::FromSql};
use tempfile::TempDir;

use self::{connection::Rows, damage::failed, marker::Marker};
pub(crate) use self::{
    damage::{CHECKED_AT_OPENING, problems},
    marker::Use,
    migrations::{VERSION, expected_tables},
    seal::UNSEALED,
};
pub use self::{
    evaluations::{EvaluationRow, Rejection},
    inputs::{InputKind, InputRow},
    judgements::{Action, Judgement, NewJudgement, Subject, judge},
    migrations::Migrated,
    records::{Origin, Record, RejectRow, Sample, VerdictRow},
    reviews::ReviewRow,
    stages::Timing,
    training::{HeldOutRow, PairRow, Phase, SftKind, SftRow, StepRow},
};
use crate::error::EvolveError;

/// An open ledger.
///
/// Rows are grouped into transactions, each committed at most 200 ms after its first row, also where no other row follows; what
/// a killed process had not committed is made again. A commit survives a loss of power. `SQLite` in WAL mode lets other
/// programs read while a run writes.
#[derive(Debug)]
pub struct Ledger {
    rows: Rows,
    path: PathBuf,
    migrated: Option<Migrated>,
    /// The copy that is read where the file itself cannot be.
    copy: Option<TempDir>,
}

impl Ledger {
    /// Opens the ledger of a run for writing, making it where it is absent. A ledger of an older version is brought up to this
    /// one, after a copy of it was made ([`migrated`](Self::migrated)).
    ///
    /// # Errors
    /// [`EvolveError::InUse`] where another process has it open for writing, [`EvolveError::LedgerDamaged`] where it is damaged
    /// or lacks rows that were committed, [`EvolveError::LedgerVersion`] where a newer lancer made it.
    pub fn open(path: &Path) -> Result<Self, EvolveError> {
        let (mut marker, committed) = Marker::lock(path)?;
        let connection = Connection::open(path).map_err(failed(path, "open"))?;
        let migrated = Self::prepare(&connection, path, committed)?;
        let counted = Marker::counted(&connection).map_err(failed(path, "read"))?;
        if committed != Some(counted) {
            // The power went after a commit and before its number was written, or nobody knows a number yet.
            marker.set(counted);
        }
        let rows = Rows::writing(connection, marker).map_err(|source| EvolveError::Io {
            action: "start the thread that commits the rows of",
            path: path.into(),
            source,
        })?;
        Ok(Self { rows, path: path.into(), migrated, copy: None })
    }

    /// Opens a ledger to read it, while a run may be writing it, also where nothing can be written beside it. A ledger of an
    /// older version stays what it is: what is read is a copy of this version.
    pub fn read(path: &Path) -> Result<Self, EvolveError> {
        let committed = Marker::read(path);
        let (connection, copy) = snapshot::open(path)?;
        damage::check_commits(&connection, path, committed)?;
        Ok(Self { rows: Rows::reading(connection), path: path.into(), migrated: None, copy })
    }

    /// A ledger of which some rows may still be read, and the copy of it that is read.
    pub(crate) fn damaged(path: &Path) -> Result<(Connection, Option<TempDir>), EvolveError> {
        snapshot::as_it_is(path)
    }

    /// Makes the tables, or those of this version, where no rows are missing.
    fn prepare(
        connection: &Connection,
        path: &Path,
        committed: Option<u64>,
    ) -> Result<Option<Migrated>, EvolveError> {
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .map_err(failed(path, "open"))?;
        damage::check_at_opening(connection, path)?;
        let Some(found) = migrations::version(connection, path)? else {
            // Before tables are made: what is put back must not meet a file of rows of other tables.
            damage::check_count(0, path, committed)?;
            migrations::create(connection).map_err(failed(path, "make the tables of"))?;
            return Ok(None);
        };
        let migrated = migrations::migrate(connection, path, found, migrations::MIGRATIONS)?;
        damage::check_tables(connection, path)?;
        damage::check_commits(connection, path, committed)?;
        Ok(migrated)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file itself is read, not a copy of it, so that what a run writes is seen.
    pub fn is_in_place(&self) -> bool {
        self.copy.is_none()
    }

    /// How often was committed to it.
    pub fn commits(&self) -> Result<u64, EvolveError> {
        Ok(self.value("SELECT number FROM commits", [])?.unwrap_or(0))
    }

    /// What opening this ledger has made of an older one.
    pub fn migrated(&self) -> Option<&Migrated> {
        self.migrated.as_ref()
    }

    /// Whether a process writes the ledger of this name now.
    pub(crate) fn in_use(path: &Path) -> Use {
        Marker::in_use(path)
    }

    /// Commits what is written so far.
    pub fn flush(&self) -> Result<(), EvolveError> {
        self.rows.flush().map_err(failed(&self.path, "write to"))
    }

    /// Writes `rows` so that all of them are there or none, with what was written since the last commit.
    pub(crate) fn together(&self, rows: impl FnOnce() -> Result<(), EvolveError>) -> Result<(), EvolveError> {
        self.rows.begin_whole().map_err(failed(&self.path, "write to"))?;
        let written = rows();
        let ended = if written.is_ok() { self.rows.flush() } else { self.rows.undo() };
        // Why the rows could not be written comes before what undoing them failed with.
        written.and(ended.map_err(failed(&self.path, "write to")))
    }

    /// Lets `look` see one state of the ledger, whatever is written meanwhile.
    pub(crate) fn at_one_time<T>(
        &self,
        look: impl FnOnce() -> Result<T, EvolveError>,
    ) -> Result<T, EvolveError> {
        let run = |sql: &str| self.rows.read(|connection| connection.execute_batch(sql));
        run("BEGIN").map_err(failed(&self.path, "read"))?;
        let seen = look();
        run("COMMIT").map_err(failed(&self.path, "read"))?;
        seen
    }

    /// Adds or changes rows.
    fn write(&self, sql: &str, values: impl Params) -> Result<(), EvolveError> {
        self.rows
            .write(|connection| connection.prepare_cached(sql)?.execute(values).map(|_| ()))
            .map_err(failed(&self.path, "write to"))
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, EvolveError> {
        self.rows
            .read(|connection| connection.prepare_cached(sql)?.query_map(values, read)?.collect())
            .map_err(failed(&self.path, "read"))
    }

    /// The first column of the first row of a query.
    pub(crate) fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> Result<Option<T>, EvolveError> {
        let mut rows = self.rows(sql, values, |row| row.get(0))?;
        Ok(if rows.is_empty() { None } else { Some(rows.swap_remove(0)) })
    }

    /// What `read` makes of the connection.
    pub(crate) fn query<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EvolveError> {
        self.rows.read(read).map_err(failed(&self.path, "read"))
    }
}

/// Opens a file for reading alone.
fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// JSON of a value that has been made here.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    // The types that are stored have string keys and no failing serialisers.
    serde_json::to_string(value).unwrap_or_else(|error| format!("\"{error}\""))
}

/// A value from its JSON, as a column.
fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use rusqlite::Connection;

    use super::Ledger;

    /// Waits for what another thread does; fails a minute after it should have been done long ago.
    fn eventually(is_so: impl Fn() -> bool) -> bool {
        (0..6000).any(|_| {
            let is_so = is_so();
            if !is_so {
                thread::sleep(Duration::from_millis(10));
            }
            is_so
        })
    }

    #[test]
    fn a_row_is_committed_though_none_follows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        let seen = |name: &str| -> i64 {
            other.query_row("SELECT count(*) FROM meta WHERE name = ?1", [name], |row| row.get(0)).unwrap()
        };
        ledger.set_meta("one", "1").unwrap();
        assert!(eventually(|| seen("one") == 1), "the row was never committed");
        // And again: the thread goes on.
        ledger.set_meta("two", "2").unwrap();
        assert!(eventually(|| seen("two") == 1), "the second row was never committed");
    }

    #[test]
    fn rows_that_belong_together_are_not_committed_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        let seen = || -> i64 { other.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).unwrap() };
        ledger.set_meta("before", "0").unwrap();
        assert!(eventually(|| seen() == 1));
        let failed = ledger.together(|| {
            ledger.set_meta("one", "1")?;
            assert_eq!(seen(), 1);
            Err(crate::error::EvolveError::Interrupted { iteration: 1, stage: crate::Stage::Clean })
        });
        assert!(failed.is_err());
        assert_eq!(ledger.meta("one").unwrap(), None, "a part of a failed group is there");
        ledger.together(|| ledger.set_meta("two", "2")).unwrap();
        assert_eq!(seen(), 2);
    }

    #[test]
    fn rows_are_lost_aloud() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        ledger.set_meta("one", "1").unwrap();
        // Whatever undoes the transaction, as a full disk does: a commit of nothing must not pass for one of the row.
        let _ = ledger.query(|connection| connection.execute_batch("ROLLBACK"));
        // The thread may have committed the row before, or find out now; in neither case does a call report a lost row as written.
        let told = ledger.flush().is_err();
        let is_there = ledger.meta("one").unwrap().is_some();
        assert!(told != is_there, "told {told}, there {is_there}");
    }
}
