//! Training within the loop: settings that are refused before anything is done, and phases without an example.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::ops::ControlFlow;

use lancer_evolve::{EvolveError, Progress, Recipe, Run, Stage, ledger::Phase, trials};
use scripted::{ScriptedEngines, recipe};

/// Keeps the notes to the user.
#[derive(Default)]
struct Notes(Vec<String>);

impl Progress for Notes {
    fn begin(&mut self, _: u32, _: Stage, _: &'static str, _: usize, _: usize) {}

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self) {}

    fn note(&mut self, text: &str) {
        self.0.push(text.into());
    }
}

fn with(recipe: &Recipe, changes: &[&str]) -> Recipe {
    let changes: Vec<String> = changes.iter().map(|&change| change.into()).collect();
    recipe.clone().with(&changes).unwrap()
}

#[test]
fn a_wrong_setting_of_the_learner_is_refused_before_anything_is_done() {
    for table in ["sft.learner", "preference.learner"] {
        let folder = tempfile::tempdir().unwrap();
        let recipe = with(&recipe(folder.path()), &[&format!("{table}.foo=1")]);
        let said = recipe.check_learners(&ScriptedEngines).unwrap_err().to_string();
        assert!(said.contains(table) && said.contains("`foo`"), "{said}");

        let run = Run::open(&folder.path().join("run"), recipe.clone()).unwrap();
        let mut notes = Notes::default();
        let error = run.execute(&mut ScriptedEngines, &mut notes).unwrap_err();
        assert!(matches!(error, EvolveError::Recipe { .. }), "{error}");
        assert!(run.ledger().records(0).unwrap().is_empty(), "something was done");

        let trials = trials::repeated("seed", &recipe, 2, &folder.path().join("trials"));
        trials::execute(&trials, &mut ScriptedEngines, &mut notes).unwrap_err();
        assert!(!folder.path().join("trials").exists(), "a trial was begun");
    }
}

#[test]
fn settings_out_of_their_range_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    for change in [
        "sft.held_out=10.0",
        "sft.held_out=1.0",
        "sft.held_out=-0.1",
        "preference.held_out=10.0",
        "sft.train.epochs=0",
        "sft.train.optimizer.learning_rate=0.0",
        "preference.train.batch={examples=0}",
        "preference.loss.beta=0.0",
        "preference.loss={kind='kto',desirable_weight=0.0,undesirable_weight=0.0}",
    ] {
        let run = folder.path().join("run");
        let error = Run::open(&run, with(&recipe, &[change])).unwrap_err();
        assert!(matches!(error, EvolveError::Recipe { .. }), "{change}: {error}");
        assert!(!run.exists(), "{change}: a run was begun");
    }
}

#[test]
fn a_phase_whose_examples_are_all_too_long_is_skipped_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let changes = ["sft.train.max_length=4", "preference.train.max_length=4", "iterations=1"];
    let run = Run::open(&folder.path().join("run"), with(&recipe(folder.path()), &changes)).unwrap();
    let mut notes = Notes::default();
    run.execute(&mut ScriptedEngines, &mut notes).unwrap();
    for (phase, examples) in [
        (Phase::Sft, run.ledger().sft(1).unwrap().len()),
        (Phase::Preference, run.ledger().pairs(1).unwrap().len()),
    ] {
        assert!(examples > 0 && run.ledger().steps(1, phase).unwrap().is_empty());
    }
    let skipped: Vec<&String> = notes.0.iter().filter(|note| note.contains("is skipped")).collect();
    assert_eq!(skipped.len(), 2, "{:?}", notes.0);
    for note in skipped {
        assert!(note.contains("have prompts that are too long") && note.contains("max_length"), "{note}");
    }
    assert!(run.folder().join("models/m1.gguf").exists());
}
