//! The rows of a ledger as texts, to be compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use rusqlite::{Connection, types::Value};

/// Every row of every table.
pub(crate) type Tables = BTreeMap<String, BTreeSet<Vec<String>>>;

const FILE: &str = "ledger.sqlite";

/// The tables that depend on when and how often a run was stopped.
pub(crate) const OF_TIME: [&str; 3] = ["timing", "commits", "hashed"];

/// The rows of the ledger of a run. It is copied first, so that looking changes nothing; a run without one has no rows.
///
/// The run's folder within values becomes `RUN`, the inputs' `INPUTS`, and the name that the run has drawn `NAME`.
pub(crate) fn rows(run: &Path, inputs: &Path, scratch: &Path) -> Result<Tables, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the ledger cannot be read: {error}");
    if !run.join(FILE).exists() {
        return Ok(Tables::new());
    }
    let copy = scratch.join("ledger-copy");
    copy_ledger(run, &copy).map_err(|error| failed(&error))?;
    let read = || -> rusqlite::Result<Tables> {
        let ledger = Connection::open(copy.join(FILE))?;
        let mut names = ledger.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut tables = Tables::new();
        let named = names.iter().any(|name| name == "meta");
        let own = if named { meta(&ledger, "run")? } else { None };
        let hidden = [
            (own.unwrap_or_default(), "NAME"),
            (run.display().to_string(), "RUN"),
            (inputs.display().to_string(), "INPUTS"),
        ];
        for name in names.into_iter().filter(|name| !name.starts_with("sqlite_")) {
            tables.insert(name.clone(), table(&ledger, &name, &hidden)?);
        }
        Ok(tables)
    };
    read().map_err(|error| failed(&error))
}

/// A fact of the run as a whole.
fn meta(ledger: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = ledger.prepare("SELECT value FROM meta WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

fn table(
    ledger: &Connection,
    name: &str,
    hidden: &[(String, &str)],
) -> rusqlite::Result<BTreeSet<Vec<String>>> {
    let mut statement = ledger.prepare(&format!("SELECT * FROM {name}"))?;
    let columns = statement.column_count();
    let text = |value: Value| {
        let text = format!("{value:?}");
        hidden
            .iter()
            .filter(|(what, _)| !what.is_empty())
            .fold(text, |text, (what, by)| text.replace(what, by))
    };
    let rows = statement
        .query_map([], |row| (0..columns).map(|column| row.get::<_, Value>(column).map(text)).collect())?;
    rows.collect()
}

fn copy_ledger(run: &Path, copy: &Path) -> io::Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    fs::create_dir_all(copy)?;
    for ending in ["", "-wal", "-journal"] {
        let name = format!("{FILE}{ending}");
        if run.join(&name).exists() {
            fs::copy(run.join(&name), copy.join(&name))?;
        }
    }
    Ok(())
}

/// Whether `SQLite` finds the file whole.
pub(crate) fn is_whole(run: &Path, scratch: &Path) -> Result<(), String> {
    let copy = scratch.join("ledger-copy");
    copy_ledger(run, &copy).map_err(|error| error.to_string())?;
    let check = || -> rusqlite::Result<String> {
        Connection::open(copy.join(FILE))?.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    match check() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(error.to_string()),
    }
}

/// A row, cut for people.
pub(crate) fn shown(row: &[String]) -> String {
    let text = row.join(", ");
    if text.chars().count() > 160 { text.chars().take(160).collect::<String>() + "…" } else { text }
}
