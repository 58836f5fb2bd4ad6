//! Damaged ledgers: how lancer finds the damage, and what it advises.

use std::{fs, path::Path};

use rusqlite::{Connection, Error, ErrorCode};

use super::{
    marker::Marker,
    migrations::{self, is_backup},
};
use crate::error::EvolveError;

/// A ledger of at most so many bytes is checked page by page whenever it is opened, a larger one when `lancer check` is asked
/// for it and before its version is changed.
pub(crate) const CHECKED_AT_OPENING: u64 = 64 << 20;

/// For `map_err` on what `SQLite` returns.
pub(super) fn failed(path: &Path, action: &'static str) -> impl FnOnce(Error) -> EvolveError {
    let path = path.to_path_buf();
    move |source| {
        if is_damage(&source) {
            return damaged(&path, &format!("cannot {action} it: {source}"));
        }
        EvolveError::Ledger { action, path, source }
    }
}

/// Whether an error says that the file does not hold what was written to it.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// The error that says what is damaged and how to go on.
pub(super) fn damaged(path: &Path, found: &str) -> EvolveError {
    let run = path.parent().unwrap_or(path);
    let copy = backups(run).last().map_or_else(
        || "If there is an older copy of the run's folder, put it back.".to_owned(),
        |backup| format!("{backup}, beside it, is a copy from before it was brought up to a newer version."),
    );
    let advice = format!(
        "Keep the folder as it is and work on a copy. {copy} `lancer check {} --save FOLDER` writes every row that can still \
         be read as JSON lines",
        run.display()
    );
    EvolveError::LedgerDamaged { path: path.into(), found: found.into(), advice }
}

/// The copies that migrations have made in a run's folder.
fn backups(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_backup(name)).collect();
    names.sort();
    names
}

/// Checks a ledger that is small enough.
pub(super) fn check_at_opening(connection: &Connection, path: &Path) -> Result<(), EvolveError> {
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size <= CHECKED_AT_OPENING { check_pages(connection, path) } else { Ok(()) }
}

/// Checks every page.
pub(super) fn check_pages(connection: &Connection, path: &Path) -> Result<(), EvolveError> {
    let found = problems(connection, "quick_check").map_err(failed(path, "check"))?;
    if found.is_empty() { Ok(()) } else { Err(damaged(path, &found.join("; "))) }
}

/// What one of the checks of `SQLite` finds wrong, the first things of it.
pub(crate) fn problems(connection: &Connection, check: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {check}(5)"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let rows: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().filter(|row| row != "ok").map(|row| row.replace('\n', ", ")).collect())
}

/// Checks that the tables of this version are there, as they should be. Others may be there too.
pub(super) fn check_tables(connection: &Connection, path: &Path) -> Result<(), EvolveError> {
    let found = migrations::tables(connection).map_err(failed(path, "read"))?;
    let expected = migrations::expected_tables().map_err(failed(path, "read"))?;
    match expected.iter().find(|(name, table)| found.get(*name) != Some(*table)) {
        None => Ok(()),
        Some((name, _)) if found.contains_key(name) => {
            Err(damaged(path, &format!("its table `{name}` is not the one that lancer makes")))
        }
        Some((name, _)) => Err(damaged(path, &format!("its table `{name}` is missing"))),
    }
}

/// Checks that the ledger has the commits that were made to it.
pub(super) fn check_commits(
    connection: &Connection,
    path: &Path,
    committed: Option<u64>,
) -> Result<(), EvolveError> {
    check_count(Marker::counted(connection).map_err(failed(path, "read"))?, path, committed)
}

/// Checks that a ledger that counted so many commits has all that were made to it.
pub(super) fn check_count(counted: u64, path: &Path, committed: Option<u64>) -> Result<(), EvolveError> {
    let Some(missing) = committed.and_then(|committed| committed.checked_sub(counted)).filter(|&n| n > 0)
    else {
        return Ok(());
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let marker = Marker::beside(path);
    Err(EvolveError::LedgerDamaged {
        path: path.into(),
        found: format!(
            "it lacks the last {missing} of {} commits that were made to it: {name} is an older copy, or {name}-wal, which \
             holds the latest rows until they are moved, is missing or damaged",
            missing + counted
        ),
        advice: format!(
            "Put both files back as they were. To go on from the rows that are there, remove {}, and see with `lancer check` \
             what is missing",
            marker.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions},
        io::{Seek, SeekFrom, Write},
        path::{Path, PathBuf},
    };

    use tempfile::TempDir;

    use super::super::Ledger;

    /// A ledger with rows on some pages, closed.
    fn filled() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        for number in 0..400 {
            ledger.set_meta(&format!("name {number}"), &"value ".repeat(20)).unwrap();
        }
        drop(ledger);
        (folder, path)
    }

    fn overwrite(path: &Path, at: u64, with: &[u8]) {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(with).unwrap();
    }

    /// Both ways of opening say that the ledger is damaged, and how to go on.
    fn assert_damaged(path: &Path, found: &str) {
        for error in [Ledger::open(path).map(drop), Ledger::read(path).map(drop)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
            assert!(error.contains(found), "{error}");
            assert!(error.contains("lancer check"), "{error}");
        }
    }

    #[test]
    fn a_whole_ledger_is_opened() {
        let (_folder, path) = filled();
        assert!(Ledger::read(&path).unwrap().meta("name 7").unwrap().is_some());
        assert!(Ledger::open(&path).unwrap().meta("name 7").unwrap().is_some());
    }

    #[test]
    fn flipped_bytes_of_pages_are_found() {
        let (_folder, path) = filled();
        let size = fs::metadata(&path).unwrap().len();
        // The header of the last page, whichever table it belongs to.
        overwrite(&path, size - 4096, &[0xff; 16]);
        assert_damaged(&path, "");
    }

    #[test]
    fn a_file_that_is_no_ledger_is_said_to_be_none() {
        let (_folder, path) = filled();
        overwrite(&path, 0, b"something else!");
        assert_damaged(&path, "file is not a database");
    }

    #[test]
    fn a_truncated_ledger_is_found() {
        let (_folder, path) = filled();
        let size = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size / 2).unwrap();
        assert_damaged(&path, "");
    }

    #[test]
    fn an_emptied_or_removed_ledger_is_not_taken_for_a_new_one() {
        let (_folder, path) = filled();
        File::create(&path).unwrap();
        let error = Ledger::open(&path).unwrap_err().to_string();
        assert!(error.contains("commits that were made to it"), "{error}");
        assert!(Ledger::read(&path).is_err());
        fs::remove_file(&path).unwrap();
        let error = Ledger::open(&path).unwrap_err().to_string();
        assert!(error.contains("ledger.lock"), "{error}");
    }

    #[test]
    fn rows_that_are_gone_with_the_wal_are_missed() {
        let (_folder, path) = filled();
        let ledger = Ledger::open(&path).unwrap();
        ledger.set_meta("late", "1").unwrap();
        ledger.flush().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = elsewhere.path().join("ledger.sqlite");
        // As a killed process leaves them, but for the file with the last commits.
        fs::copy(&path, &copy).unwrap();
        fs::copy(path.with_extension("lock"), copy.with_extension("lock")).unwrap();
        assert_damaged(&copy, "ledger.sqlite-wal");
        // With it nothing is missing, and without what remembers the number the rows that are there are taken.
        fs::remove_file(copy.with_extension("lock")).unwrap();
        assert_eq!(Ledger::open(&copy).unwrap().meta("late").unwrap(), None);
        drop(ledger);
    }

    #[test]
    fn a_killed_process_leaves_a_ledger_that_lacks_nothing() {
        let (_folder, path) = filled();
        let ledger = Ledger::open(&path).unwrap();
        ledger.set_meta("late", "1").unwrap();
        ledger.flush().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.lock"] {
            fs::copy(path.with_file_name(name), elsewhere.path().join(name)).unwrap();
        }
        let copy = elsewhere.path().join("ledger.sqlite");
        assert_eq!(Ledger::open(&copy).unwrap().meta("late").unwrap().as_deref(), Some("1"));
        drop(ledger);
    }

    #[test]
    fn a_missing_table_is_named() {
        let (_folder, path) = filled();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("DROP TABLE review").unwrap();
        drop(connection);
        assert_damaged(&path, "its table `review` is missing");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_an_error() {
        let (_folder, path) = filled();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("INSERT INTO calibration VALUES (1, '{')").unwrap();
        drop(connection);
        let error = Ledger::read(&path).unwrap().calibration(1).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
    }
}
