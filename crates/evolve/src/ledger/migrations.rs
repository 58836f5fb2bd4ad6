//! The versions of the tables, and the way from each to the next.
//!
//! `schema.sql` is the newest version. A change to it comes with a file in `migrations/` that makes the same of the version before,
//! and, from then on, with a ledger of the version before in `fixtures/ledgers`. Columns that are added have no value in older
//! rows, so that checksums of those stay true ([`seal`](super::seal)).

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{damage, failed};
use crate::error::EvolveError;

/// What makes one version of the tables of the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) to: i64,
    pub(super) sql: &'static str,
}

/// All of them, in their order; the first begins with version 1.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { to: 2, sql: include_str!("migrations/2.sql") },
    Migration { to: 3, sql: include_str!("migrations/3.sql") },
    Migration { to: 4, sql: include_str!("migrations/4.sql") },
];

/// The version of the tables, kept in `PRAGMA user_version`.
pub(crate) const VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].to;

const SCHEMA: &str = include_str!("schema.sql");

/// What was made of a ledger of an older version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The version that it had.
    pub from: i64,
    /// The version that it has.
    pub to: i64,
    /// The copy from before.
    pub backup: PathBuf,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, backup } = self;
        write!(
            f,
            "the ledger was brought from version {from} to {to}; {} is as it was before, and may be removed",
            backup.display()
        )
    }
}

/// The version of a ledger; `None` for a file without tables.
///
/// # Errors
/// [`EvolveError::LedgerVersion`] where it is newer than this program.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<Option<i64>, EvolveError> {
    let number =
        |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed(path, "read"));
    match number("PRAGMA user_version")? {
        0 if number("SELECT count(*) FROM sqlite_master")? == 0 => Ok(None),
        0 => Err(damage::damaged(path, "it has tables, but not those of a run")),
        found if found > VERSION => {
            Err(EvolveError::LedgerVersion { path: path.into(), found, newest: VERSION })
        }
        found => Ok(Some(found)),
    }
}

/// Makes the tables of the newest version in an empty file.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    transaction(connection, SCHEMA, VERSION)
}

/// Brings a ledger of version `found` up to the last of `migrations`, after a copy was made of it.
pub(super) fn migrate(
    connection: &Connection,
    path: &Path,
    found: i64,
    migrations: &[Migration],
) -> Result<Option<Migrated>, EvolveError> {
    let newest = migrations.last().map_or(found, |last| last.to);
    if found >= newest {
        return Ok(None);
    }
    damage::check_pages(connection, path)?;
    let backup = back_up(connection, path, found)?;
    apply(connection, path, found, migrations)?;
    Ok(Some(Migrated { from: found, to: newest, backup }))
}

/// Makes each migration that is due, in a transaction of its own: one that is stopped half way was never begun.
pub(super) fn apply(
    connection: &Connection,
    path: &Path,
    found: i64,
    migrations: &[Migration],
) -> Result<(), EvolveError> {
    for migration in migrations.iter().filter(|migration| migration.to > found) {
        transaction(connection, migration.sql, migration.to).map_err(|source| EvolveError::Migration {
            path: path.into(),
            from: migration.to - 1,
            to: migration.to,
            source,
        })?;
    }
    Ok(())
}

fn transaction(connection: &Connection, sql: &str, version: i64) -> rusqlite::Result<()> {
    let made = connection
        .execute_batch(&format!("BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {version}; COMMIT;"));
    if made.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    made
}

/// Copies a ledger as it is at one time, with what its `-wal` file holds.
pub(super) fn copy(connection: &Connection, to: &Path) -> rusqlite::Result<()> {
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map(|_| ())
}

/// Copies the ledger beside itself. The copy is whole or absent.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, EvolveError> {
    let backup = path.with_file_name(format!("{BACKUP}{version}.sqlite"));
    let unfinished = backup.with_extension("sqlite.unfinished");
    let failed = |source| EvolveError::Io { action: "make the copy", path: backup.clone(), source };
    crate::files::remove(&unfinished)?;
    copy(connection, &unfinished).map_err(super::failed(path, "make a copy of"))?;
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, &backup).map_err(failed)?;
    Ok(backup)
}

const BACKUP: &str = "ledger-version-";

/// Whether a file of this name is a copy that a migration has made.
pub(crate) fn is_backup(name: &str) -> bool {
    name.strip_prefix(BACKUP)
        .and_then(|rest| rest.strip_suffix(".sqlite"))
        .is_some_and(|version| version.parse::<i64>().is_ok())
}

/// The tables of a ledger by name, as they were made, without comments and white space. An index that is missing makes reading
/// slower and loses nothing.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, plain(&row.get::<_, String>(1)?))))?;
    rows.collect()
}

/// What [`tables`] gives for a new ledger.
pub(crate) fn expected_tables() -> rusqlite::Result<BTreeMap<String, String>> {
    let new = Connection::open_in_memory()?;
    create(&new)?;
    tables(&new)
}

/// SQL without comments, and with no white space but what separates words.
fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    for character in words.chars() {
        if matches!(character, ',' | '(' | ')') {
            plain.truncate(plain.trim_end().len());
        } else if character == ' ' && plain.ends_with([',', '(', ')']) {
            continue;
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rusqlite::Connection;

    use super::{super::Ledger, *};

    /// Ledgers that older versions of this program have made.
    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/ledgers");

    fn of_version(version: i64, folder: &Path) -> PathBuf {
        let path = folder.join("ledger.sqlite");
        fs::copy(Path::new(FIXTURES).join(format!("v{version}.sqlite")), &path).unwrap();
        path
    }

    fn user_version(path: &Path) -> i64 {
        let connection = Connection::open(path).unwrap();
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_older_version_has_its_ledger_here() {
        assert!(MIGRATIONS.iter().map(|migration| migration.to).eq(2..=VERSION));
        for version in 1..VERSION {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(user_version(&of_version(version, folder.path())), version);
        }
    }

    #[test]
    fn a_migrated_ledger_has_the_tables_of_a_new_one_and_all_its_rows() {
        for version in 1..VERSION {
            let folder = tempfile::tempdir().unwrap();
            let path = of_version(version, folder.path());
            let (records, reviews) = {
                let before = Connection::open(&path).unwrap();
                let count = |table: &str| -> usize {
                    let sql = format!("SELECT count(*) FROM {table}");
                    before.query_row(&sql, [], |row| row.get(0)).unwrap()
                };
                (count("record"), count("review WHERE iteration = 1"))
            };
            assert!(records > 0 && reviews > 0, "the ledger of version {version} has no rows");
            let ledger = Ledger::open(&path).unwrap();
            let migrated = ledger.migrated().unwrap();
            assert_eq!((migrated.from, migrated.to), (version, VERSION));
            assert!(migrated.to_string().contains("ledger-version-"), "{migrated}");
            assert_eq!(ledger.query(tables).unwrap(), expected_tables().unwrap());
            let rows: i64 = ledger.value("SELECT count(*) FROM record", []).unwrap().unwrap();
            assert_eq!(rows as usize, records);
            assert_eq!(ledger.reviews(1).unwrap().len(), reviews);
            assert_eq!(user_version(&migrated.backup), version, "the copy is of the older version");
            drop(ledger);
            // It is brought up once.
            assert_eq!(Ledger::open(&path).unwrap().migrated(), None);
        }
    }

    #[test]
    fn an_older_ledger_is_read_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = of_version(1, folder.path());
        let before = fs::read(&path).unwrap();
        let ledger = Ledger::read(&path).unwrap();
        assert!(!ledger.reviews(1).unwrap().is_empty());
        assert_eq!(ledger.query(tables).unwrap(), expected_tables().unwrap());
        drop(ledger);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(names(folder.path()).iter().all(|name| !name.starts_with(BACKUP)));
    }

    #[test]
    fn a_newer_ledger_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        drop(Ledger::open(&path).unwrap());
        let newer = format!("PRAGMA user_version = {}", VERSION + 1);
        Connection::open(&path).unwrap().execute_batch(&newer).unwrap();
        for error in [Ledger::open(&path).map(drop), Ledger::read(&path).map(drop)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("a newer lancer"), "{error}");
            assert!(error.contains("use that one"), "{error}");
        }
    }

    /// From version 1 to 3, the second step with an error after its first statement.
    const BROKEN: [Migration; 2] = [
        Migration { to: 2, sql: "CREATE TABLE two (a TEXT)" },
        Migration { to: 3, sql: "CREATE TABLE three (a TEXT); INSERT INTO nothing VALUES (1)" },
    ];

    #[test]
    fn a_migration_that_fails_changes_nothing_and_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = of_version(1, folder.path());
        let connection = Connection::open(&path).unwrap();
        let error = migrate(&connection, &path, 1, &BROKEN).unwrap_err();
        assert!(error.to_string().contains("from version 2 to 3"), "{error}");
        assert_eq!(user_version(&path), 2, "the step before it is made");
        let there = tables(&connection).unwrap();
        assert!(there.contains_key("two") && !there.contains_key("three"), "{there:?}");
        let whole = [BROKEN[0], Migration { to: 3, sql: "CREATE TABLE three (a TEXT)" }];
        let migrated = migrate(&connection, &path, 2, &whole).unwrap().unwrap();
        assert_eq!((migrated.from, migrated.to), (2, 3));
        assert!(tables(&connection).unwrap().contains_key("three"));
        let backups: Vec<String> =
            names(folder.path()).into_iter().filter(|name| name.starts_with("ledger-")).collect();
        assert_eq!(backups, ["ledger-version-1.sqlite", "ledger-version-2.sqlite"]);
    }

    #[test]
    fn a_migration_that_was_killed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = of_version(1, folder.path());
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA cache_size = 1; BEGIN IMMEDIATE")
            .unwrap();
        connection.execute_batch(MIGRATIONS[0].sql).unwrap();
        // As a killed process leaves them, with a copy that was not whole yet.
        let killed = tempfile::tempdir().unwrap();
        for name in names(folder.path()).iter().filter(|name| !name.ends_with("-shm")) {
            fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
        }
        fs::write(killed.path().join("ledger-version-1.sqlite.unfinished"), "half").unwrap();
        let ledger = Ledger::open(&killed.path().join("ledger.sqlite")).unwrap();
        assert_eq!(ledger.migrated().map(|migrated| migrated.from), Some(1));
        assert_eq!(ledger.query(tables).unwrap(), expected_tables().unwrap());
        assert!(names(killed.path()).iter().all(|name| !name.ends_with(".unfinished")));
    }

    #[test]
    fn comments_and_white_space_make_no_other_table() {
        let one = "CREATE TABLE a (\n    b TEXT, -- what it is\n    PRIMARY KEY (b)\n) WITHOUT ROWID";
        assert_eq!(plain(one), "CREATE TABLE a(b TEXT,PRIMARY KEY(b))WITHOUT ROWID");
        assert_ne!(plain(one), plain(&one.replace("TEXT", "INTEGER")));
    }
}
