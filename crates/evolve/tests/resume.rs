//! A run that is killed with `kill -9` in any stage, and then run again, ends with the rows of a run that was never
//! stopped.
//!
//! The test runs itself in child processes: a child runs the loop with scripted engines and kills itself at a given
//! moment of a given stage.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{env, ops::ControlFlow, path::Path, process::Command};

use lancer_evolve::{Progress, Recipe, Run, Stage};
use scripted::{
    KILL_AFTER_EXPORT, ScriptedEngines, kill,
    outcome::{assert_same, models, rows},
    recipe,
};

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

#[test]
fn a_killed_run_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), None));
    let expected = (rows(folder.path()), models(folder.path()));
    let count = |name: &str| expected.0.iter().find(|(table, _)| table == name).unwrap().1.len();
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
        assert_same(folder.path(), &expected, &format!("a kill at {kill}"));
    }
}

/// Whoever finds a trained model finds its rows: they are committed before it gets its name.
#[test]
fn a_kill_after_a_model_was_written_loses_no_row() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), None));
    let expected = (rows(folder.path()), models(folder.path()));
    for model in ["m1-sft", "m1", "m1.gguf", "m2-sft", "m2", "m2.gguf"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child_in(folder.path());
        let output = child.env_remove(KILL).env(KILL_AFTER_EXPORT, model).output().unwrap();
        assert!(output.status.code().is_none(), "not killed after {model}");
        assert!(run(folder.path(), None), "after {model}");
        assert_same(folder.path(), &expected, &format!("a kill after {model}"));
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
