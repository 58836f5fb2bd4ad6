//! A run knows its inputs: what changes between two starts, or while it runs, ends it with an error that says what to do, and
//! nothing is made of two states of a file.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{
    fmt::Write as _,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lancer_evolve::{EvolveError, Progress, Recipe, Run, Stage, ledger::Ledger};
use scripted::{ScriptedEngines, recipe};

/// A recipe whose task has data of its own, in a fresh folder.
fn with_task(folder: &Path, iterations: u32) -> Recipe {
    let recipe = recipe(folder);
    let data = r#"{"prompt": "Which river is in Paris?", "response": "The Seine."}"#;
    fs::write(folder.join("items.jsonl"), data).unwrap();
    let task = fs::read_to_string(folder.join("task.toml")).unwrap();
    fs::write(folder.join("task.toml"), task.replace("seeds.jsonl", "items.jsonl")).unwrap();
    Recipe { iterations, ..recipe }
}

fn run(folder: &Path, recipe: &Recipe, progress: &mut dyn Progress) -> Result<(), EvolveError> {
    Run::open(folder, recipe.clone())?.execute(&mut ScriptedEngines, progress)
}

/// Does something when a stage begins, and may end the run there.
struct At<F: FnMut()> {
    stage: (u32, Stage),
    act: F,
    stop: bool,
    here: bool,
    notes: Vec<String>,
}

impl<F: FnMut()> At<F> {
    fn new(iteration: u32, stage: Stage, stop: bool, act: F) -> Self {
        Self { stage: (iteration, stage), act, stop, here: false, notes: Vec::new() }
    }
}

impl<F: FnMut()> Progress for At<F> {
    fn begin(&mut self, iteration: u32, stage: Stage, _: &'static str, _: usize, _: usize) {
        self.here = self.stage == (iteration, stage);
        if self.here {
            (self.act)();
        }
    }

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        if self.stop && self.here { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end(&mut self) {}

    fn note(&mut self, text: &str) {
        self.notes.push(text.into());
    }
}

#[test]
fn a_changed_input_is_named_with_what_it_was_and_what_used_it() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    run(folder.path(), &recipe, &mut ()).unwrap();
    let more = Recipe { iterations: 2, ..recipe };
    for (name, kind, used) in [
        ("seeds.jsonl", "(seeds)", "import"),
        ("model.bin", "(the model)", "import"),
        ("task.toml", "(an evaluation task)", "evaluate of iteration 1"),
        ("items.jsonl", "(data of an evaluation task)", "clean of iteration 1"),
    ] {
        let path = folder.path().join(name);
        let before = fs::read_to_string(&path).unwrap();
        // As many bytes as before, so that only the content tells.
        let changed = before.replacen('e', "u", 1);
        assert_ne!(before, changed);
        fs::write(&path, changed).unwrap();
        let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
        for part in [name, kind, "has changed: its SHA-256 was", used, "put it back", "start a new run"] {
            assert!(error.contains(part), "{name}: no {part} in {error}");
        }
        fs::remove_file(&path).unwrap();
        let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("is missing"), "{error}");
        fs::write(&path, before).unwrap();
    }
    // Nothing was lost by it.
    run(folder.path(), &more, &mut ()).unwrap();
}

#[test]
fn an_input_that_changes_while_the_run_goes_on_ends_it_before_the_next_stage_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    let items = folder.path().join("items.jsonl");
    let before = fs::read_to_string(&items).unwrap();
    let mut change =
        At::new(1, Stage::Generate, false, || fs::write(&items, before.replace("Seine", "Rhine")).unwrap());
    let error = run(folder.path(), &recipe, &mut change).unwrap_err().to_string();
    assert!(error.contains("items.jsonl") && error.contains("has changed"), "{error}");
    let ledger = Ledger::read(&folder.path().join(Run::LEDGER)).unwrap();
    assert!(ledger.is_finished(1, Stage::Generate).unwrap());
    assert!(!ledger.is_finished(1, Stage::Clean).unwrap());
    drop(ledger);
    fs::write(&items, &before).unwrap();
    run(folder.path(), &recipe, &mut ()).unwrap();
}

#[test]
fn a_file_that_was_not_there_is_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    let seeds = folder.path().join("seeds");
    fs::create_dir(&seeds).unwrap();
    fs::rename(folder.path().join("seeds.jsonl"), seeds.join("b.jsonl")).unwrap();
    let recipe = Recipe { seeds: seeds.clone(), ..recipe };
    run(folder.path(), &recipe, &mut ()).unwrap();
    fs::copy(seeds.join("b.jsonl"), seeds.join("a.jsonl")).unwrap();
    let error = run(folder.path(), &recipe, &mut ()).unwrap_err().to_string();
    assert!(
        error.contains("a.jsonl") && error.contains("was not there") && error.contains("take it away"),
        "{error}"
    );
    // What is no data does not count.
    fs::remove_file(seeds.join("a.jsonl")).unwrap();
    fs::write(seeds.join("README.md"), "About the seeds.").unwrap();
    run(folder.path(), &recipe, &mut ()).unwrap();
    let ledger = Ledger::read(&folder.path().join(Run::LEDGER)).unwrap();
    let inputs = ledger.inputs().unwrap();
    assert_eq!(
        inputs.iter().map(|input| input.kind.as_str()).collect::<Vec<_>>(),
        ["model", "seeds", "task", "task_data"]
    );
    assert!(inputs.iter().all(|input| input.sha256.len() == 64 && input.bytes > 0));
}

#[test]
fn seeds_that_could_not_be_used_may_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    let good = fs::read_to_string(&recipe.seeds).unwrap();
    fs::write(&recipe.seeds, "no JSON\n").unwrap();
    let error = run(folder.path(), &recipe, &mut ()).unwrap_err();
    assert!(matches!(error, EvolveError::NoSeeds { .. }), "{error}");
    fs::write(&recipe.seeds, good).unwrap();
    run(folder.path(), &recipe, &mut ()).unwrap();
}

/// What lies in a run's `models` folder.
fn within(folder: &Path, name: &str) -> PathBuf {
    folder.join("models").join(name)
}

#[test]
fn a_model_of_the_run_that_is_another_or_gone_is_not_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    run(folder.path(), &recipe, &mut ()).unwrap();
    let more = Recipe { iterations: 2, ..recipe };
    let gguf = within(folder.path(), "m1.gguf");
    let before = fs::read(&gguf).unwrap();
    fs::write(&gguf, "another model").unwrap();
    let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
    assert!(error.contains("m1.gguf is not the model that this run has written"), "{error}");
    fs::remove_file(&gguf).unwrap();
    let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
    assert!(error.contains("m1.gguf") && error.contains("is missing"), "{error}");
    fs::write(&gguf, before).unwrap();

    // The folder from which the next iteration is trained.
    let folder_of_m1 = within(folder.path(), "m1");
    let away = within(folder.path(), "away");
    fs::rename(&folder_of_m1, &away).unwrap();
    let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
    assert!(error.contains("models/m1,") && error.contains("is missing"), "{error}");
    fs::create_dir(&folder_of_m1).unwrap();
    for entry in fs::read_dir(&away).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = fs::read(entry.path()).unwrap();
        bytes.push(b' ');
        fs::write(folder_of_m1.join(entry.file_name()), bytes).unwrap();
    }
    let error = run(folder.path(), &more, &mut ()).unwrap_err().to_string();
    assert!(error.contains("m1 is not the model"), "{error}");
    fs::remove_dir_all(&folder_of_m1).unwrap();
    fs::rename(&away, &folder_of_m1).unwrap();
    run(folder.path(), &more, &mut ()).unwrap();
}

#[test]
fn the_first_model_is_written_again_in_its_format_with_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    let mut stop = At::new(0, Stage::Evaluate, true, || ());
    run(folder.path(), &recipe, &mut stop).unwrap_err();
    let first = within(folder.path(), "m0.gguf");
    fs::write(&first, "another model").unwrap();
    let error = run(folder.path(), &recipe, &mut ()).unwrap_err().to_string();
    assert!(
        error.contains("m0.gguf is not the model") && error.contains("remove it to have it written again"),
        "{error}"
    );
    fs::remove_file(&first).unwrap();
    let mut watch = At::new(1, Stage::Merge, false, || ());
    run(folder.path(), &recipe, &mut watch).unwrap();
    assert!(
        watch.notes.iter().any(|note| note.contains("m0.gguf is missing; it is written again")),
        "{:?}",
        watch.notes
    );
    // All models are in the form of the first.
    assert!(first.exists() && within(folder.path(), "m1.gguf").exists());
}

#[test]
fn ledger_models_and_exports_belong_together() {
    let scratch = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| scratch.path().join(name));
    let recipes = [&one, &other].map(|folder| with_task(folder, 1));
    run(&one, &recipes[0], &mut ()).unwrap();
    run(&other, &recipes[1], &mut ()).unwrap();
    let name = |folder: &Path| fs::read_to_string(folder.join("models/run.id")).unwrap();
    assert_ne!(name(&one), name(&other));
    assert_eq!(name(&one), fs::read_to_string(one.join("exports/run.id")).unwrap());
    assert!(fs::read_to_string(one.join(Run::RECIPE)).unwrap().contains(name(&one).trim()));

    // Models of another run beside this one's ledger.
    fs::rename(one.join("models"), scratch.path().join("models")).unwrap();
    fs::rename(other.join("models"), one.join("models")).unwrap();
    let error = run(&one, &recipes[0], &mut ()).unwrap_err().to_string();
    assert!(error.contains("belongs to the run") && error.contains("run.id"), "{error}");
    fs::remove_dir_all(one.join("models")).unwrap();
    fs::rename(scratch.path().join("models"), one.join("models")).unwrap();
    run(&one, &recipes[0], &mut ()).unwrap();

    // Old models without their ledger.
    let ledger = fs::read(one.join(Run::LEDGER)).unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(one.join(name));
    }
    let error = run(&one, &recipes[0], &mut ()).unwrap_err();
    assert!(matches!(error, EvolveError::LedgerGone { .. }), "{error}");
    assert!(error.to_string().contains("put the ledger back"), "{error}");
    // Without the recipe too, and with another model to begin with.
    let recipe = fs::read(one.join(Run::RECIPE)).unwrap();
    fs::remove_file(one.join(Run::RECIPE)).unwrap();
    fs::write(one.join("other.bin"), "another model").unwrap();
    let other_model = Recipe { model: one.join("other.bin"), ..recipes[0].clone() };
    let error = run(&one, &other_model, &mut ()).unwrap_err();
    assert!(matches!(error, EvolveError::NoRunFolder { .. }), "{error}");
    // It goes on where all is there again.
    fs::write(one.join(Run::RECIPE), recipe).unwrap();
    fs::write(one.join(Run::LEDGER), ledger).unwrap();
    run(&one, &recipes[0], &mut ()).unwrap();
}

#[test]
fn ids_of_an_earlier_export_are_not_taken_for_what_the_run_writes() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_task(folder.path(), 1);
    // Of each seed, the keys that the first iteration would give to what it writes from it.
    let mut text = fs::read_to_string(&recipe.seeds).unwrap();
    for seed in 0..6 {
        for id in ["1/p0", "1/p0/r0", "1/p1/r1", "1/w0", "review", "Shuffled"] {
            let _ = writeln!(
                text,
                "{{\"id\": \"s{seed}/{id}\", \"prompt\": \"What is meant by number {seed} of {id}, please?\", \"response\": \
                 \"Something that an earlier run has written and exported as {id} of {seed}.\"}}"
            );
        }
    }
    fs::write(&recipe.seeds, &text).unwrap();
    run(folder.path(), &recipe, &mut ()).unwrap();
    let ledger = Ledger::read(&folder.path().join(Run::LEDGER)).unwrap();
    let seeds = ledger.records(0).unwrap();
    assert_eq!(seeds.len(), 42);
    assert!(
        seeds.iter().any(|seed| seed.key == "s3%2F1%2Fp0%2Fr0" && seed.response.contains("1/p0/r0 of 3"))
    );
    let written = ledger.records(1).unwrap();
    assert!(!written.is_empty());
    let keys: std::collections::HashSet<String> =
        seeds.iter().chain(&written).map(|record| record.key.clone()).collect();
    assert_eq!(keys.len(), seeds.len() + written.len());
}
