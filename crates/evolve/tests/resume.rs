//! A run that is killed with `kill -9` in any stage, and then run again, ends with the rows of a run that was never
//! stopped.
//!
//! The test runs itself in child processes: a child runs the loop with scripted engines and kills itself at a given
//! moment of a given stage.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{env, ops::ControlFlow, path::Path, process::Command};

use lancer_evolve::{Progress, Recipe, Run, Stage};
use rusqlite::{Connection, types::Value};
use scripted::{KILL_AFTER_EXPORT, ScriptedEngines, kill, recipe};

const FOLDER: &str = "LANCER_TEST_RUN";
const KILL: &str = "LANCER_TEST_KILL";

/// Kills its own process, as `kill -9` does, after so many calls in a stage.
struct Killer {
    at: Option<(u32, Stage, usize)>,
    here: (u32, Stage),
    calls: usize,
}

impl Killer {
    fn step(&mut self) {
        let Some((iteration, stage, calls)) = self.at else { return };
        if self.here == (iteration, stage) {
            self.calls += 1;
            if self.calls > calls {
                kill();
            }
        }
    }
}

impl Progress for Killer {
    fn begin(&mut self, iteration: u32, stage: Stage, _: &'static str, _: usize, _: usize) {
        self.here = (iteration, stage);
        self.step();
    }

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        self.step();
        ControlFlow::Continue(())
    }

    fn end(&mut self) {
        self.step();
    }

    fn note(&mut self, _: &str) {}
}

/// What a child does; nothing where the test is run by itself.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let at = env::var(KILL).ok().map(|text| {
        let mut parts = text.split(' ');
        let iteration = parts.next().unwrap().parse().unwrap();
        let stage = Stage::from_name(parts.next().unwrap()).unwrap();
        (iteration, stage, parts.next().unwrap().parse().unwrap())
    });
    let run = Run::open(Path::new(&folder), recipe(Path::new(&folder))).unwrap();
    let mut killer = Killer { at, here: (0, Stage::Import), calls: 0 };
    run.execute(&mut ScriptedEngines, &mut killer).unwrap();
}

fn child_in(folder: &Path) -> Command {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    child
}

/// Runs the loop in a child; whether it ran to its end.
fn run(folder: &Path, kill: Option<&str>) -> bool {
    let mut child = child_in(folder);
    match kill {
        Some(kill) => child.env(KILL, kill),
        None => child.env_remove(KILL),
    };
    let output = child.output().unwrap();
    if output.status.code().is_some() {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// Every row of every table but what depends on when a run was stopped.
fn rows(folder: &Path) -> Vec<(String, Vec<Vec<String>>)> {
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
        .filter(|&table| table != "timing")
        .map(|table| {
            let mut rows = rows_of(table);
            // A folder's own path is part of its recipe.
            let folder = folder.display().to_string();
            rows.iter_mut().flatten().for_each(|value| *value = value.replace(&folder, "FOLDER"));
            (table.clone(), rows)
        })
        .collect()
}

/// The files of the models that are kept.
fn models(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("models")];
    while let Some(within) = folders.pop() {
        for entry in std::fs::read_dir(within).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_killed_run_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), None));
    let (expected, expected_models) = (rows(folder.path()), models(folder.path()));
    let count = |name: &str| expected.iter().find(|(table, _)| table == name).unwrap().1.len();
    for table in [
        "sample",
        "record",
        "review",
        "verdict",
        "sft",
        "pair",
        "reference",
        "step",
        "held_out",
        "set_aside",
        "evaluation",
    ] {
        assert!(count(table) > 0, "the scripted run makes no {table}");
    }
    assert!(count("pool") > count("record") / 100);

    let mut kills = vec!["0 import 0".to_owned(), "0 import 1".to_owned(), "0 evaluate 2".to_owned()];
    for iteration in [1, 2] {
        // Every stage calls at its beginning, for what it does, and at its end.
        for stage in Stage::ITERATION {
            for calls in [0, 1, 2] {
                kills.push(format!("{iteration} {} {calls}", stage.as_str()));
            }
        }
        for stage in ["calibrate", "review_seeds", "generate", "review_new", "sft", "preference"] {
            // After the first checkpoints.
            kills.push(format!("{iteration} {stage} 7"));
        }
    }
    for kill in kills {
        let folder = tempfile::tempdir().unwrap();
        assert!(!run(folder.path(), Some(&kill)), "not killed at {kill}");
        assert!(run(folder.path(), None), "after {kill}");
        for ((table, found), (_, expected)) in rows(folder.path()).iter().zip(&expected) {
            assert_eq!(found, expected, "{table} after a kill at {kill}");
        }
        assert!(models(folder.path()) == expected_models, "other models after a kill at {kill}");
    }
}

/// Whoever finds a trained model finds its rows: they are committed before it gets its name.
#[test]
fn a_kill_after_a_model_was_written_loses_no_row() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), None));
    let (expected, expected_models) = (rows(folder.path()), models(folder.path()));
    for model in ["m1-sft", "m1", "m1.gguf", "m2-sft", "m2", "m2.gguf"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child_in(folder.path());
        let output = child.env_remove(KILL).env(KILL_AFTER_EXPORT, model).output().unwrap();
        assert!(output.status.code().is_none(), "not killed after {model}");
        assert!(run(folder.path(), None), "after {model}");
        for ((table, found), (_, expected)) in rows(folder.path()).iter().zip(&expected) {
            assert_eq!(found, expected, "{table} after a kill after {model}");
        }
        assert!(models(folder.path()) == expected_models, "other models after a kill after {model}");
    }
}

#[test]
fn the_same_run_cannot_go_on_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    drop(Run::open(folder.path(), recipe.clone()).unwrap());
    let other =
        Recipe { iterations: 3, ..recipe.clone() }.with(&["preference.loss.beta=0.5".into()]).unwrap();
    let error = Run::open(folder.path(), other).unwrap_err().to_string();
    assert!(error.contains("preference.loss.beta: 0.1, now 0.5"), "{error}");
    let more = Recipe { iterations: 3, ..recipe.clone() };
    let open = Run::open(folder.path(), more).unwrap();
    let error = Run::open(folder.path(), open.recipe().clone()).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    drop(open);
    std::fs::write(&recipe.seeds, r#"{"prompt": "What is new?", "response": "This."}"#).unwrap();
    let again = Run::open(folder.path(), Recipe { iterations: 3, ..recipe }).unwrap_err().to_string();
    assert!(again.contains("has changed"), "{again}");
}
