//! Seeds that hold items of evaluation tasks are not trained on.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::fs;

use lancer_evolve::{EvolveError, Recipe, Run, ledger::Ledger};
use scripted::{ScriptedEngines, recipe};

/// A small run whose task has this one record.
fn with_task(folder: &std::path::Path, record: &str) -> Recipe {
    let recipe = recipe(folder)
        .with(&[
            "iterations=1".into(),
            "recipe=sft-only".into(),
            "decontaminate.words=13".into(),
            "evaluate.bootstrap.resamples=200".into(),
        ])
        .unwrap();
    fs::write(folder.join("held_out.jsonl"), record).unwrap();
    let task = fs::read_to_string(folder.join("task.toml")).unwrap();
    fs::write(folder.join("task.toml"), task.replace("seeds.jsonl", "held_out.jsonl")).unwrap();
    recipe
}

#[test]
fn a_seed_with_an_evaluation_item_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    // The response of the first seed, within another record.
    let record = r#"{"prompt": "Where is it?", "response": "I say: it is Paris, a city on the river Seine in the north of the country!"}"#;
    let recipe = with_task(folder.path(), record);
    let run = folder.path().join("run");
    Run::open(&run, recipe).unwrap().execute(&mut ScriptedEngines, &mut ()).unwrap();
    let ledger = Ledger::read(&run.join(Run::LEDGER)).unwrap();
    let pool: Vec<String> = ledger.pool(1).unwrap().into_iter().map(|record| record.key).collect();
    assert_eq!(pool, ["s1", "s2", "s3", "s4", "s5"]);
    let verdicts = ledger.verdicts(0).unwrap();
    assert_eq!((verdicts.len(), verdicts[0].record.as_str()), (1, "s0"));
    assert!(
        verdicts[0].detail.as_ref().unwrap().starts_with("held out, record 1: "),
        "{:?}",
        verdicts[0].detail
    );
}

#[test]
fn where_no_seed_is_left_the_error_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = {
        recipe(folder.path());
        fs::read_to_string(folder.path().join("seeds.jsonl")).unwrap()
    };
    let recipe = with_task(folder.path(), &seeds);
    let failed =
        Run::open(&folder.path().join("run"), recipe).unwrap().execute(&mut ScriptedEngines, &mut ());
    let Err(EvolveError::NoSeeds { first, .. }) = failed else { panic!("{failed:?}") };
    assert!(first.contains("evaluation task, held out"), "{first}");
}
