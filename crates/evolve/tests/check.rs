//! `check` finds each damage that is done to a run, and nothing wrong with one that is whole, at any moment of it.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use lancer_evolve::{
    Progress, Recipe, Run, Stage,
    check::{Checked, Promise, check, save},
};
use rusqlite::Connection;
use scripted::{ScriptedEngines, outcome::assert_sound, recipe};
use tempfile::TempDir;

/// The scripted recipe, with new prompts that are usable: a token is a byte here, and a prompt that is cut off is not.
fn with_new_prompts(folder: &Path) -> Recipe {
    recipe(folder).with(&["generate.max_prompt_tokens=200".to_owned()]).unwrap()
}

/// A whole run of two iterations.
fn whole() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::open(folder.path(), with_new_prompts(folder.path())).unwrap();
        run.execute(&mut ScriptedEngines, &mut ()).unwrap();
        folder
    })
    .path()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of the whole run.
fn copied() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(whole(), folder.path());
    folder
}

fn broken(checked: &Checked, promise: Promise) -> Vec<&str> {
    let of = checked.checks.iter().filter(|check| check.promise == promise);
    of.flat_map(|check| &check.broken).map(String::as_str).collect()
}

fn notes(checked: &Checked) -> String {
    checked.checks.iter().flat_map(|check| &check.notes).cloned().collect::<Vec<_>>().join("\n")
}

/// A new record of the first iteration, one that cleaning has kept.
const NEW: &str = "(SELECT min(record.key) FROM record JOIN verdict ON verdict.record = record.key
                    WHERE record.iteration = 1 AND rule IS NULL)";

/// One of the user's seeds.
const SEED: &str = "(SELECT min(key) FROM record WHERE iteration = 0)";

/// The first usable sample of the first iteration of a writing.
fn sample(writing: &str) -> String {
    format!(
        "(SELECT min(key) FROM sample WHERE iteration = 1 AND writing = '{writing}' AND unusable IS NULL)"
    )
}

/// The first record of the first iteration of an origin.
fn record(origin: &str) -> String {
    format!("(SELECT min(key) FROM record WHERE iteration = 1 AND origin = '{origin}')")
}

/// Each way to damage the rows of a run, which promise that breaks, and what is said.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn damages() -> Vec<(String, Promise, &'static str)> {
    use Promise::{Checksums, Counts, Keys, Parents, Stages};
    let pair = |condition: &str| {
        format!("iteration = 1 AND key = (SELECT min(key) FROM pair WHERE iteration = 1 AND {condition})")
    };
    let sft = |kind: &str| {
        format!("iteration = 1 AND key = (SELECT min(key) FROM sft WHERE iteration = 1 AND kind = '{kind}')")
    };
    let (prompt, response) = (sample("new_prompt"), sample("response"));
    let (new_prompt, worse) = (record("new_prompt"), record("worse_response"));
    [
        (
            format!("UPDATE record SET seed = 'none' WHERE key = {NEW}"),
            Parents,
            "the seed that it descends from",
        ),
        (
            format!("UPDATE record SET source = 'none' WHERE key = {NEW}"),
            Parents,
            "that it was written from is missing",
        ),
        (
            format!("UPDATE record SET source = NULL WHERE key = {NEW}"),
            Parents,
            "that it was written from is missing",
        ),
        (
            format!("UPDATE record SET sample = 'none' WHERE key = {NEW}"),
            Parents,
            "that holds its response is missing",
        ),
        (format!("DELETE FROM sample WHERE key = {response}"), Parents, "that holds its response is missing"),
        (
            format!("UPDATE sample SET parent = 'none' WHERE key = {prompt}"),
            Parents,
            "the record that it was written",
        ),
        (
            format!("UPDATE sample SET parent = 'none' WHERE key = {response}"),
            Parents,
            "the prompt that it responds to",
        ),
        ("INSERT INTO pool VALUES ('none', 1)".into(), Parents, "`pool`, none: the record is missing"),
        (
            "INSERT INTO review VALUES (1, 'none', NULL, 'why', '{}')".into(),
            Parents,
            "`review`, 1 none: the record",
        ),
        (
            "DELETE FROM calibration WHERE iteration = 1".into(),
            Parents,
            "the calibration of its reviewer is missing",
        ),
        (
            "INSERT INTO verdict VALUES ('none', 1, NULL, NULL, NULL)".into(),
            Parents,
            "`verdict`, none: the record",
        ),
        (format!("UPDATE sft SET record = 'none' WHERE {}", sft("response")), Parents, "`sft`, 1 "),
        (
            format!("UPDATE pair SET record = 'none' WHERE {}", pair("1")),
            Parents,
            "of the chosen response is missing",
        ),
        (
            format!("UPDATE pair SET rejected_record = 'none' WHERE {}", pair("rejected_record IS NOT NULL")),
            Parents,
            "of the rejected response is missing",
        ),
        (
            "UPDATE reference SET pair = 'none' WHERE iteration = 1
             AND pair = (SELECT min(pair) FROM reference WHERE iteration = 1)"
                .into(),
            Parents,
            "`reference`, 1 none: the pair is missing",
        ),
        ("UPDATE start SET model = 2 WHERE iteration = 2".into(), Parents, "comes after it"),
        (
            format!("UPDATE sample SET key = key || 'x' WHERE key = {prompt}"),
            Keys,
            "its key is not made of its parent",
        ),
        (
            format!("UPDATE sample SET writing = 'other' WHERE key = {prompt}"),
            Keys,
            "its key is not made of its parent",
        ),
        (
            format!("UPDATE record SET key = key || 'x' WHERE key = {NEW}"),
            Keys,
            "its key is not that of its sample",
        ),
        (
            format!("UPDATE record SET response = 'x' WHERE key = {NEW}"),
            Keys,
            "its response is not the text of its sample",
        ),
        (
            format!("UPDATE record SET prompt = 'x' WHERE key = {new_prompt}"),
            Keys,
            "is not the one that was written for it",
        ),
        (
            format!("UPDATE record SET prompt = 'x' WHERE key = {worse}"),
            Keys,
            "its prompt or its seed is not its source's",
        ),
        (format!("UPDATE record SET origin = 'seed' WHERE key = {NEW}"), Keys, "it is a seed of the user's"),
        (format!("UPDATE sft SET response = 'x' WHERE {}", sft("response")), Keys, "`sft`, 1 "),
        (format!("UPDATE sft SET key = key || 'x' WHERE {}", sft("review")), Keys, "`sft`, 1 "),
        (format!("UPDATE pair SET chosen = 'x' WHERE {}", pair("1")), Keys, "its key or its chosen side"),
        (
            format!("UPDATE pair SET rejected = 'x' WHERE {}", pair("rejected_record IS NOT NULL")),
            Keys,
            "its key or its rejected side",
        ),
        (format!("DELETE FROM record WHERE key = {NEW}"), Counts, "it is usable, and has no record"),
        (format!("DELETE FROM verdict WHERE record = {NEW}"), Counts, "has decided nothing about it"),
        (format!("DELETE FROM pool WHERE record = {SEED}"), Counts, "neither in the pool nor left out"),
        (
            format!("UPDATE verdict SET iteration = 2 WHERE record = {NEW}"),
            Counts,
            "about a record of another iteration",
        ),
        (
            format!("INSERT INTO verdict VALUES ({SEED}, 0, 'x', NULL, NULL)"),
            Counts,
            "cleaning has dropped the record",
        ),
        (
            format!("DELETE FROM review WHERE iteration = 1 AND record = {SEED}"),
            Counts,
            "the seeds are reviewed, and it has",
        ),
        (
            format!("DELETE FROM review WHERE iteration = 1 AND record = {NEW}"),
            Counts,
            "it was kept and has no review",
        ),
        ("DELETE FROM evaluation WHERE iteration = 1 AND item = 2".into(), Counts, "has a gap in its items"),
        ("DELETE FROM evaluation WHERE iteration = 1 AND item = 5".into(), Counts, "another number of items"),
        (
            "DELETE FROM step WHERE iteration = 1 AND phase = 'sft' AND step = 1".into(),
            Counts,
            "the phase has a gap in its steps",
        ),
        (
            "INSERT INTO held_out VALUES (1, 'sft', 1000, 1.0, 1, NULL)".into(),
            Counts,
            "it comes after the phase's last step",
        ),
        (
            format!("UPDATE sample SET tokens = tokens + 1 WHERE key = {prompt}"),
            Counts,
            "another number of tokens",
        ),
        (
            "DELETE FROM stage WHERE iteration = 1 AND stage = 'clean'".into(),
            Stages,
            "iteration 1, clean is not",
        ),
        ("DELETE FROM record WHERE iteration = 0".into(), Stages, "there is no seed"),
        ("DELETE FROM calibration WHERE iteration = 1".into(), Stages, "there is no reviewer"),
        ("DELETE FROM evaluation WHERE iteration = 1".into(), Stages, "0 of 1 tasks are answered"),
        ("DELETE FROM start WHERE iteration = 2".into(), Stages, "no model to start from"),
        (
            "DELETE FROM held_out; INSERT INTO held_out VALUES (1, 'sft', 0, 1.0, 1, NULL)".into(),
            Stages,
            "not evaluated after the last step",
        ),
        (
            "UPDATE review SET detail = detail || ' ' WHERE iteration = 2".into(),
            Checksums,
            "iteration 2, review seeds",
        ),
        (
            "UPDATE evaluation SET value = value * 1.0000001".into(),
            Checksums,
            "iteration 0, evaluate: rows were changed",
        ),
        (
            "DELETE FROM reject; INSERT INTO reject VALUES ('a.jsonl', 9, 'why', 'x')".into(),
            Checksums,
            "iteration 0, import",
        ),
    ]
    .into()
}

#[test]
fn a_whole_run_is_sound() {
    let folder = copied();
    let checked = check(folder.path()).unwrap();
    assert!(checked.is_sound(), "{checked:#?}");
    assert_eq!(notes(&checked), "");
    assert!(!checked.in_use);
    assert_eq!(checked.finished, 22);
    for check in &checked.checks {
        assert!(check.tested > 0, "{:?} was tested on nothing", check.promise);
    }
    // It is read, and nothing else.
    let again = check(folder.path()).unwrap();
    assert_eq!(again, checked);
}

#[test]
fn each_damage_of_rows_is_found() {
    for (sql, promise, said) in damages() {
        let folder = copied();
        let ledger = Connection::open(folder.path().join(Run::LEDGER)).unwrap();
        let before: i64 = ledger.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap();
        ledger.execute_batch(&sql).unwrap();
        let after: i64 = ledger.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap();
        assert!(after > before, "nothing is damaged by {sql}");
        drop(ledger);
        let checked = check(folder.path()).unwrap();
        let broken = broken(&checked, promise);
        assert!(broken.iter().any(|broken| broken.contains(said)), "{broken:#?} after {sql}");
    }
}

#[test]
fn damaged_pages_are_found_and_what_can_be_read_is_saved() {
    let folder = copied();
    let path = folder.path().join(Run::LEDGER);
    let all: i64 = {
        let ledger = Connection::open(&path).unwrap();
        ledger.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
    };
    let root: u64 = {
        let ledger = Connection::open(&path).unwrap();
        ledger
            .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'review'", [], |row| row.get(0))
            .unwrap()
    };
    let mut bytes = fs::read(&path).unwrap();
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let at = (root as usize - 1) * page;
    bytes[at..at + 16].fill(0xff);
    fs::write(&path, bytes).unwrap();

    let checked = check(folder.path()).unwrap();
    assert!(!checked.is_sound());
    assert!(!broken(&checked, Promise::Pages).is_empty(), "{checked:#?}");

    let to = folder.path().join("saved");
    let saved = save(folder.path(), &to).unwrap();
    let of = |name: &str| saved.tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!((of("record").rows, &of("record").cut), (all as usize, &None));
    assert!(of("review").cut.is_some(), "{saved:?}");
    let lines = fs::read_to_string(to.join("record.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), all as usize);
    assert!(lines.contains("What is the capital city of France?"));
    // Nothing is written over.
    let error = save(folder.path(), &to).unwrap_err().to_string();
    assert!(error.contains("saved"), "{error}");
}

#[test]
fn changed_inputs_and_models_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::open(folder.path(), with_new_prompts(folder.path())).unwrap();
    run.execute(&mut ScriptedEngines, &mut ()).unwrap();
    drop(run);
    for (file, is_input) in [("seeds.jsonl", true), ("task.toml", true), ("models/m2.gguf", false)] {
        let path = folder.path().join(file);
        let before = fs::read(&path).unwrap();
        fs::write(&path, [before.as_slice(), &b" "[..]].concat()).unwrap();
        let checked = check(folder.path()).unwrap();
        let broken = broken(&checked, Promise::Contents);
        // The seeds are the task's data too.
        assert!(!broken.is_empty(), "{file}");
        for broken in broken {
            assert!(broken.contains(file) && broken.contains("has changed"), "{broken} after {file}");
        }
        if is_input {
            fs::remove_file(&path).unwrap();
            let checked = check(folder.path()).unwrap();
            assert!(checked.is_sound(), "{checked:#?}");
            assert!(notes(&checked).contains("is missing; the run cannot go on"), "{checked:#?}");
        }
        fs::write(&path, before).unwrap();
        assert!(check(folder.path()).unwrap().is_sound());
    }
}

#[test]
fn missing_models_and_what_is_left_of_interrupted_work_are_found() {
    let folder = copied();
    let models = folder.path().join("models");
    fs::remove_dir_all(models.join("m1")).unwrap();
    fs::create_dir_all(models.join("m1-sft-checkpoints")).unwrap();
    let scratch: PathBuf = folder.path().join("exports/iteration-1/.lancer-a1B2c3.partial");
    fs::write(&scratch, "half").unwrap();
    let checked = check(folder.path()).unwrap();
    assert!(checked.is_sound(), "{checked:#?}");
    let notes = notes(&checked);
    assert!(notes.contains("no later iteration needs it"), "{notes}");
    assert!(notes.contains("2 files or folders are left"), "{notes}");

    fs::remove_file(models.join("m2.gguf")).unwrap();
    let checked = check(folder.path()).unwrap();
    let broken = broken(&checked, Promise::Files);
    assert!(broken.len() == 1 && broken[0].contains("m2.gguf is missing"), "{broken:?}");

    // The next start removes what a killed process was writing, which is no one's any more.
    drop(Run::open(folder.path(), Run::recipe_of(folder.path()).unwrap().unwrap()));
    assert!(!scratch.exists());
}

#[test]
fn an_export_that_is_not_what_the_rows_say_is_named() {
    let folder = copied();
    let checked = check(folder.path()).unwrap();
    assert!(!notes(&checked).contains("exports"), "{checked:#?}");
    let export = folder.path().join("exports/iteration-2/plain/sft.jsonl");
    let text = fs::read_to_string(&export).unwrap();
    fs::write(&export, text.replacen('e', "a", 1)).unwrap();
    fs::remove_file(folder.path().join("exports/iteration-1/sft.jsonl")).unwrap();
    let checked = check(folder.path()).unwrap();
    assert!(checked.is_sound(), "{checked:#?}");
    let notes = notes(&checked);
    for name in ["iteration-1/sft.jsonl does not hold", "iteration-2/plain/sft.jsonl does not hold"] {
        assert!(notes.contains(name), "{notes}");
    }
}

/// Checks the run at every so many calls.
struct Checking<'a> {
    folder: &'a Path,
    calls: usize,
    checks: usize,
}

impl Checking<'_> {
    fn call(&mut self) {
        self.calls += 1;
        if self.calls.is_multiple_of(23) {
            assert_sound(self.folder, &format!("call {}", self.calls));
            assert!(check(self.folder).unwrap().in_use);
            self.checks += 1;
        }
    }
}

impl Progress for Checking<'_> {
    fn begin(&mut self, _: u32, _: Stage, _: &'static str, _: usize, _: usize) {
        self.call();
    }

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        self.call();
        ControlFlow::Continue(())
    }

    fn end(&mut self) {
        self.call();
    }

    fn note(&mut self, _: &str) {}
}

#[test]
fn a_run_is_sound_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::open(folder.path(), with_new_prompts(folder.path())).unwrap();
    let mut checking = Checking { folder: folder.path(), calls: 0, checks: 0 };
    run.execute(&mut ScriptedEngines, &mut checking).unwrap();
    assert!(checking.checks > 10, "checked only {} times", checking.checks);
}
