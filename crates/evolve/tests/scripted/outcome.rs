//! What a run has come to: the rows of its ledger and its models.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{fs, path::Path};

use lancer_evolve::{Run, check::check};
use rusqlite::{Connection, types::Value};

/// The rows of each table, sorted.
pub(crate) type Rows = Vec<(String, Vec<Vec<String>>)>;

/// Names and contents.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// Panics unless a run that was stopped has come to what one that was not has.
pub(crate) fn assert_same(folder: &Path, expected: &(Rows, Files), after: &str) {
    for ((table, found), (_, expected)) in rows(folder).iter().zip(&expected.0) {
        assert_eq!(found, expected, "{table} after {after}");
    }
    assert!(models(folder) == expected.1, "other models after {after}");
    assert_sound(folder, after);
}

/// Panics where a run's ledger or files break a promise.
pub(crate) fn assert_sound(folder: &Path, after: &str) {
    let checked = check(folder).unwrap();
    let broken: Vec<_> = checked.checks.iter().flat_map(|check| &check.broken).collect();
    assert!(broken.is_empty(), "{broken:#?} after {after}");
}

/// Every row of every table but those that depend on when a run was stopped.
pub(crate) fn rows(folder: &Path) -> Rows {
    let ledger = Connection::open(folder.join(Run::LEDGER)).unwrap();
    let mut tables =
        ledger.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows_of = |table: &String| {
        let mut statement = ledger.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows: Vec<Vec<String>> = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| row.get::<_, Value>(column).map(|value| format!("{value:?}")))
                    .collect()
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        rows.sort();
        rows
    };
    tables
        .iter()
        .filter(|table| !["timing", "hashed", "commits"].contains(&table.as_str()))
        .map(|table| {
            let mut rows = rows_of(table);
            // Each run has a name of its own.
            rows.retain(|row| !(table == "meta" && row[0] == "Text(\"run\")"));
            // A folder's own path is part of its recipe.
            let folder = folder.display().to_string();
            rows.iter_mut().flatten().for_each(|value| *value = value.replace(&folder, "FOLDER"));
            (table.clone(), rows)
        })
        .collect()
}

/// The files of the models that are kept.
pub(crate) fn models(folder: &Path) -> Files {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("models")];
    while let Some(within) = folders.pop() {
        for entry in fs::read_dir(within).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("run.id") {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
