//! Looking at runs in a terminal: `lancer runs`, `inspect`, `query`, `diff`, `chat`.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;
mod tiny_run;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use lancer_skipped::skip;
use program::{TINY, command, lancer, text};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with two runs, `one` and `two`, which differ in a setting.
fn runs() -> &'static Path {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        tiny_run::evolve(&folder.path().join("one"), 1, &[]);
        fs::copy(folder.path().join("one.jsonl"), folder.path().join("two.jsonl")).unwrap();
        tiny_run::evolve(
            &folder.path().join("two"),
            1,
            &["--set", "sft.train.optimizer.learning_rate=0.002"],
        );
        folder
    })
    .path()
}

fn place(name: &str) -> String {
    runs().join(name).display().to_string()
}

/// What a command prints, through a pipe.
fn printed(arguments: &[&str]) -> String {
    let output = lancer(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(&[&["--json"], arguments].concat())).unwrap()
}

/// No line is longer than a terminal is wide, and nothing in it is obeyed.
fn assert_shown(printed: &str) {
    for line in printed.lines() {
        assert!(line.chars().count() <= 80, "{} characters: {line}", line.chars().count());
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.contains('\u{202e}'), "{line:?}");
    }
}

/// The key of the seed with markup and escape codes.
fn hostile() -> String {
    let found = json(&[
        "query",
        &place("one"),
        "SELECT key FROM record WHERE prompt LIKE '%onerror%' AND iteration = 0",
    ]);
    found["rows"][0][0].as_str().unwrap().to_owned()
}

/// One test, since each test is a process of its own under nextest, and would make the run again.
#[test]
fn runs_are_looked_at_in_a_terminal() {
    runs_are_listed();
    a_run_and_a_record_are_shown_whole();
    the_losses_of_a_steps_examples_make_its_loss();
    a_query_reads_and_changes_nothing();
    two_runs_are_compared();
    models_answer_what_is_piped_to_them();
}

fn runs_are_listed() {
    let found = json(&["runs", &runs().display().to_string()]);
    let names: Vec<&str> =
        found.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!((&found[0]["status"], &found[0]["iteration"]), (&"finished".into(), &1.into()));
    assert!(found[0]["gain"]["low"].as_f64().unwrap() <= found[0]["gain"]["high"].as_f64().unwrap());
    let table = printed(&["runs", &runs().display().to_string()]);
    assert_shown(&table);
    assert!(table.contains("finished") && table.contains("M_1"), "{table}");
    let nothing = lancer(&["runs", "/no/such/folder"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("/no/such/folder"));
}

fn a_run_and_a_record_are_shown_whole() {
    let run = printed(&["inspect", &place("one")]);
    assert_shown(&run);
    for part in ["fine-tune", "Iteration 1: records", "Iteration 1: evaluation", "held_out", "M_1 is"] {
        assert!(run.contains(part), "{part} is missing:\n{run}");
    }
    let view = json(&["inspect", &place("one")]);
    assert_eq!(view["training"][0]["phase"], "sft");

    // Of a step, back to the record that it trained on, and from there to the step.
    let used = json(&[
        "query",
        &place("one"),
        "SELECT sft.record, step, loss FROM step_example JOIN sft USING (iteration, key) WHERE phase = 'sft' AND sft.kind = 'response' LIMIT 1",
    ]);
    let row = &used["rows"][0];
    let lineage = json(&["inspect", &place("one"), row[0].as_str().unwrap()]);
    let step = lineage["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == row[1] && step["phase"] == "sft")
        .unwrap();
    assert!((step["loss"].as_f64().unwrap() - row[2].as_f64().unwrap()).abs() < 1e-12);
    assert!(lineage["reviews"].as_array().is_some_and(|reviews| !reviews.is_empty()));

    let record = printed(&["inspect", &place("one"), &hostile()]);
    assert_shown(&record);
    assert!(record.contains("\\u{1b}[31mred") && record.contains("onerror"), "{record}");
    let none = lancer(&["inspect", &place("one"), "no such record"]);
    assert_eq!(none.status.code(), Some(2));
}

fn the_losses_of_a_steps_examples_make_its_loss() {
    let found = json(&["query", &place("one"),
        "SELECT step.loss, avg(step_example.loss), step.examples, count(*), max(abs(json_extract(preference, '$.reward_margin')
             - (SELECT avg(margin) FROM step_example AS one WHERE one.phase = step.phase AND one.step = step.step)))
         FROM step JOIN step_example USING (iteration, phase, step) WHERE phase = 'preference' GROUP BY step"]);
    let rows = found["rows"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let number = |place: usize| row[place].as_f64().unwrap();
        assert!((number(0) - number(1)).abs() < 1e-9, "{row}");
        assert_eq!(row[2], row[3]);
        assert!(number(4) < 1e-9, "{row}");
    }
}

fn a_query_reads_and_changes_nothing() {
    let table = printed(&[
        "query",
        &place("one"),
        "SELECT key, prompt, length(response) AS characters FROM record LIMIT 30",
    ]);
    assert_shown(&table);
    assert!(table.contains("characters"));
    let wide = printed(&[
        "query",
        &place("one"),
        "--wide",
        "SELECT prompt FROM record WHERE prompt LIKE '%onerror%'",
    ]);
    assert!(wide.contains("\\u{1b}]0;title") && !wide.contains('\u{1b}'), "{wide}");
    for sql in ["DELETE FROM record", "DROP TABLE record", "nonsense"] {
        let refused = lancer(&["query", &place("one"), sql]);
        assert_eq!(refused.status.code(), Some(2), "{sql}: {}", text(&refused.stderr));
    }
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    let ended = lancer(&["query", &place("one"), endless, "--timeout", "1"]);
    assert!(text(&ended.stderr).contains("took longer than 1 s"), "{}", text(&ended.stderr));
    let check = lancer(&["check", &place("one")]);
    assert!(check.status.success(), "{}", text(&check.stdout));
}

fn two_runs_are_compared() {
    let found = json(&["diff", &place("one"), &place("two")]);
    let names: Vec<&str> =
        found["settings"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"sft.train.optimizer.learning_rate"), "{names:?}");
    assert_eq!(found["tasks"][0]["task"], "held_out");
    let same = json(&["diff", &place("one"), &place("one")]);
    assert_eq!(same["settings"], Value::Array(Vec::new()));
    assert_eq!(same["tasks"][0]["comparison"]["difference"]["mean"].as_f64(), Some(0.0));
    let table = printed(&["diff", &place("one"), &place("two")]);
    assert!(table.contains("learning_rate") && table.contains("held_out"), "{table}");
    let none = lancer(&["diff", &place("one"), "/no/run"]);
    assert!(text(&none.stderr).contains("/no/run is no run"), "{}", text(&none.stderr));
}

/// What `lancer chat` says to a text that is piped into it.
fn chat(arguments: &[&str], said: &str) -> (String, bool) {
    let mut child =
        command(&[&["--json", "chat", TINY, "--threads", "1", "--max-tokens", "12"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (text(&output.stdout), output.status.success())
}

fn models_answer_what_is_piped_to_them() {
    let model = PathBuf::from(place("one")).join("models/m1.gguf").display().to_string();
    let (both, is_done) = chat(&["--compare", &model, "--seed", "3"], "Name a colour.");
    assert!(is_done);
    let answers: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1]["model"], Value::String(model));
    assert_eq!(
        chat(&["--seed", "3"], "Name a colour.").0.lines().next(),
        both.lines().next(),
        "the same seed, the same answer"
    );
    assert!(!chat(&[], " \n").1, "nothing was said");
}

/// What TensorBoard itself reads of an event file: a list of tag, step and value.
const READ: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0}); events.Reload()
print(json.dumps([[tag, one.step, one.value] for tag in events.Tags()['scalars'] for one in events.Scalars(tag)]))
";

#[test]
fn scalars_are_written_for_other_tools() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    tiny_run::evolve(&run, 1, &["--track", "jsonl"]);
    let lines = fs::read_to_string(run.join("track/scalars.jsonl")).unwrap();
    let written: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = json(&[
        "query",
        &run.display().to_string(),
        "SELECT phase, step, loss FROM step ORDER BY phase DESC, step",
    ]);
    for row in steps["rows"].as_array().unwrap() {
        let tag = format!("1/{}/loss", row[0].as_str().unwrap());
        let found = written.iter().filter(|scalar| scalar["tag"] == tag && scalar["step"] == row[1]);
        assert_eq!(found.map(|scalar| &scalar["value"]).collect::<Vec<_>>(), [&row[2]], "{tag}");
    }
    assert!(written.iter().any(|scalar| scalar["tag"] == "evaluation/held_out" && scalar["step"] == 1));

    // A session that has nothing left to do writes all that there is.
    tiny_run::evolve(&run, 1, &["--track", "tensorboard"]);
    let python = std::env::var("LANCER_TENSORBOARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let events = run.join("track/tensorboard");
    let read = std::process::Command::new(python).args(["-c", READ]).arg(&events).output();
    let Some(read) = read.ok().filter(|read| read.status.success()) else {
        assert_eq!(fs::read_dir(&events).unwrap().count(), 1);
        skip!("there is no Python with tensorboard; LANCER_TENSORBOARD_PYTHON names one");
        return;
    };
    let found: Vec<(String, u64, f64)> = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(found.len(), written.len());
    for scalar in &written {
        let (tag, step) = (scalar["tag"].as_str().unwrap(), scalar["step"].as_u64().unwrap());
        let value = found.iter().find(|(name, at, _)| name == tag && *at == step).unwrap().2;
        assert!(
            (value - scalar["value"].as_f64().unwrap()).abs() <= 1e-6 * value.abs().max(1e-3),
            "{tag} {step}"
        );
    }
}
