//! The ledger: everything that a run made, in one `SQLite` file, written when it exists.

mod evaluations;
mod read_only;
mod records;
mod reviews;
mod stages;
mod training;

use std::{
    cell::Cell,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Params, Row, types::FromSql};
use tempfile::TempDir;

pub use self::{
    evaluations::EvaluationRow,
    records::{Origin, Record, RejectRow, Sample, VerdictRow},
    reviews::ReviewRow,
    stages::Timing,
    training::{HeldOutRow, PairRow, Phase, SftKind, SftRow, StepRow},
};
use crate::error::EvolveError;

/// Rows are committed together until so much time has passed: a commit a row would cost more than the row.
const GROUP: Duration = Duration::from_millis(200);

/// The version of the tables, kept in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// An open ledger.
///
/// Writes are grouped into transactions of at most 200 ms; what a killed process had not committed is made again.
/// `SQLite` in WAL mode lets other programs read while a run writes.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    group: Cell<Group>,
    /// Held while the ledger is open for writing.
    _lock: Option<File>,
    /// Where the ledger is, if it is read from a copy; removed after the connection is closed.
    _copy: Option<TempDir>,
}

/// Rows that are not committed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    None,
    /// Since the first of them.
    Since(Instant),
    /// They are committed all together or not at all.
    Whole,
}

impl Ledger {
    /// Opens the ledger of a run for writing, making it where it is absent.
    ///
    /// # Errors
    /// [`EvolveError::InUse`] where another process has it open for writing, and what `SQLite` says of a file that is
    /// no ledger.
    pub fn open(path: &Path) -> Result<Self, EvolveError> {
        let lock = lock(&path.with_extension("lock"))?;
        let connection = Connection::open(path).map_err(failed(path, "open"))?;
        let ledger = Self {
            connection,
            path: path.into(),
            group: Cell::new(Group::None),
            _lock: Some(lock),
            _copy: None,
        };
        ledger
            .connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .map_err(failed(path, "open"))?;
        match ledger.version()? {
            0 => ledger
                .connection
                .execute_batch(&format!(
                    "BEGIN; {} PRAGMA user_version = {VERSION}; COMMIT;",
                    include_str!("ledger/schema.sql")
                ))
                .map_err(failed(path, "make the tables of"))?,
            _ => ledger.check_version()?,
        }
        Ok(ledger)
    }

    /// Opens a ledger to read it, while a run may be writing it; also one in a folder that cannot be written.
    pub fn read(path: &Path) -> Result<Self, EvolveError> {
        let (connection, copy) = read_only::open(path)?;
        let ledger =
            Self { connection, path: path.into(), group: Cell::new(Group::None), _lock: None, _copy: copy };
        ledger.check_version()?;
        Ok(ledger)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commits what is written so far.
    pub fn flush(&self) -> Result<(), EvolveError> {
        if self.group.replace(Group::None) != Group::None {
            self.connection.execute_batch("COMMIT").map_err(failed(&self.path, "write to"))?;
        }
        Ok(())
    }

    /// Writes `rows` so that all of them are there or none, with what was written since the last commit.
    pub(crate) fn together(&self, rows: impl FnOnce() -> Result<(), EvolveError>) -> Result<(), EvolveError> {
        self.begin()?;
        self.group.set(Group::Whole);
        match rows() {
            Ok(()) => self.flush(),
            Err(error) => {
                self.group.set(Group::None);
                self.connection.execute_batch("ROLLBACK").map_err(failed(&self.path, "write to"))?;
                Err(error)
            }
        }
    }

    fn begin(&self) -> Result<(), EvolveError> {
        if self.group.get() == Group::None {
            self.connection.execute_batch("BEGIN").map_err(failed(&self.path, "write to"))?;
            self.group.set(Group::Since(Instant::now()));
        }
        Ok(())
    }

    /// Adds or changes rows.
    fn write(&self, sql: &str, values: impl Params) -> Result<(), EvolveError> {
        self.begin()?;
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(failed(&self.path, "write to"))?;
        if matches!(self.group.get(), Group::Since(begun) if begun.elapsed() > GROUP) {
            self.flush()?;
        }
        Ok(())
    }

    /// All rows of a query.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, EvolveError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(values, read)?.collect())
            .map_err(failed(&self.path, "read"))
    }

    /// The first column of the first row of a query.
    fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> Result<Option<T>, EvolveError> {
        let mut rows = self.rows(sql, values, |row| row.get(0))?;
        Ok(if rows.is_empty() { None } else { Some(rows.swap_remove(0)) })
    }

    fn version(&self) -> Result<i64, EvolveError> {
        Ok(self.value("PRAGMA user_version", [])?.unwrap_or(0))
    }

    fn check_version(&self) -> Result<(), EvolveError> {
        match self.version()? {
            VERSION => Ok(()),
            found => Err(EvolveError::LedgerVersion { path: self.path.clone(), found, expected: VERSION }),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // What cannot be committed here is made again by the next session.
        let _ = self.flush();
    }
}

fn lock(path: &Path) -> Result<File, EvolveError> {
    let file =
        File::create(path).map_err(|source| EvolveError::Io { action: "open", path: path.into(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EvolveError::InUse { path: path.into() }),
        Err(TryLockError::Error(source)) => {
            Err(EvolveError::Io { action: "lock", path: path.into(), source })
        }
    }
}

/// For `map_err` on what `SQLite` returns.
fn failed(path: &Path, action: &'static str) -> impl FnOnce(rusqlite::Error) -> EvolveError {
    let path = path.to_path_buf();
    move |source| EvolveError::Ledger { action, path, source }
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
