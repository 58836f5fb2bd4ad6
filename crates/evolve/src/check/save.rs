//! Writing every row of a ledger that can still be read, however damaged the rest is.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Row, types::ValueRef};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::EvolveError,
    ledger::{Ledger, expected_tables},
    run::Run,
};

/// What could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The folder that it was written to, a file a table.
    pub folder: PathBuf,
    /// Each table.
    pub tables: Vec<SavedTable>,
}

/// What could be read of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavedTable {
    /// Its name.
    pub name: String,
    /// Rows that were written.
    pub rows: usize,
    /// Why there may be others.
    pub cut: Option<String>,
}

/// Writes the rows of a run's ledger to `folder`, which must be empty or absent: a file of JSON lines for each table. The ledger
/// is not changed.
///
/// # Errors
/// Where the folder has something in it, where nothing can be read at all, and where a file cannot be written.
pub fn save(run: &Path, folder: &Path) -> Result<Saved, EvolveError> {
    make_empty(folder)?;
    let path = run.join(Run::LEDGER);
    let (connection, _copy) = Ledger::damaged(&path).map_err(|error| match error {
        EvolveError::LedgerDamaged { path, found, .. } => {
            let advice =
                "Nothing can be read of it. Put an older copy of the run's folder back, or begin a new run";
            EvolveError::LedgerDamaged { path, found, advice: advice.into() }
        }
        error => error,
    })?;
    let failed = |source| EvolveError::Ledger { action: "read", path: path.clone(), source };
    let mut tables = Vec::new();
    for name in expected_tables().map_err(failed)?.into_keys() {
        let (rows, cut) = readable(&connection, &name);
        lancer_data::write_rows(&folder.join(format!("{name}.jsonl")), &rows)?;
        tables.push(SavedTable { name, rows: rows.len(), cut: cut.map(|error| error.to_string()) });
    }
    Ok(Saved { folder: folder.into(), tables })
}

fn make_empty(folder: &Path) -> Result<(), EvolveError> {
    let failed = |action| move |source| EvolveError::Io { action, path: folder.into(), source };
    fs::create_dir_all(folder).map_err(failed("make the folder"))?;
    if fs::read_dir(folder).map_err(failed("look into"))?.next().is_some() {
        return Err(failed("write into")(std::io::ErrorKind::DirectoryNotEmpty.into()));
    }
    Ok(())
}

/// The rows of a table from its beginning up to what cannot be read, and from its end down to it.
fn readable(connection: &Connection, table: &str) -> (Vec<Map<String, Value>>, Option<rusqlite::Error>) {
    let mut rows = Vec::new();
    let Err(error) = read(connection, &format!("SELECT * FROM {table}"), &mut |row| rows.push(row)) else {
        return (rows, None);
    };
    let mut known: HashSet<String> = rows.iter().map(crate::ledger::json).collect();
    let backwards = primary_key(connection, table)
        .map(|key| format!("SELECT * FROM {table} ORDER BY {}", key.join(" DESC, ") + " DESC"));
    if let Ok(backwards) = backwards {
        // It ends where the first one did; what it fails with is known.
        let _ = read(connection, &backwards, &mut |row| {
            if known.insert(crate::ledger::json(&row)) {
                rows.push(row);
            }
        });
    }
    (rows, Some(error))
}

fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
    connection.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
}

fn read(
    connection: &Connection,
    sql: &str,
    each: &mut dyn FnMut(Map<String, Value>),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(object(&names, row)?);
    }
    Ok(())
}

fn object(names: &[String], row: &Row<'_>) -> rusqlite::Result<Map<String, Value>> {
    let value = |value: ValueRef<'_>| match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        // What is no longer UTF-8 is kept as far as it can be read.
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
    };
    names.iter().enumerate().map(|(place, name)| Ok((name.clone(), value(row.get_ref(place)?)))).collect()
}
