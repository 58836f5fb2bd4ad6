//! `lancer evolve` on the tiny model: what happens where its inputs, its models or its ledger are not what they were.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use program::{TINY, command, lancer, text};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// Files of a test, and what it starts runs with.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// A copy of the tiny model, twelve seeds, and a task of eight questions.
    fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        let model = scratch.path("model");
        fs::create_dir(&model).unwrap();
        for entry in fs::read_dir(TINY).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
            }
        }
        let first = |file: &str, lines: usize| -> String {
            let all = fs::read_to_string(Path::new(FIXTURES).join(file)).unwrap();
            all.lines().take(lines).flat_map(|line| [line, "\n"]).collect()
        };
        fs::write(scratch.path("seeds.jsonl"), first("seeds.jsonl", 12)).unwrap();
        fs::write(scratch.path("everyday.jsonl"), first("tasks/everyday.jsonl", 8)).unwrap();
        fs::copy(Path::new(FIXTURES).join("tasks/everyday.toml"), scratch.path("task.toml")).unwrap();
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fine-tuning on the seeds, with these arguments more.
    fn command(&self, more: &[&str]) -> Command {
        let paths =
            ["run", "model", "seeds.jsonl", "task.toml"].map(|name| self.path(name).display().to_string());
        let [run, model, seeds, task] = &paths;
        let mut arguments = vec!["--json", "evolve", "--threads", "1"];
        for (name, value) in [("--run", run), ("--model", model), ("--seeds", seeds), ("--task", task)] {
            if !more.contains(&name) {
                arguments.extend([name, value]);
            }
        }
        for setting in ["recipe=sft-only", "format=f32", "sft.train.batch={examples=4}", "sft.max_examples=8"]
        {
            arguments.extend(["--set", setting]);
        }
        arguments.extend(more);
        command(&arguments)
    }

    fn evolve(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }

    /// The same where it is to work.
    fn evolved(&self, more: &[&str]) -> Value {
        let output = self.evolve(more);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What is said where it is not to work.
    fn refused(&self, more: &[&str], code: i32) -> String {
        let output = self.evolve(more);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        text(&output.stderr)
    }
}

#[test]
fn labels_or_weights_that_change_between_iterations_end_the_run_and_lose_nothing() {
    let scratch = Scratch::new();
    scratch.evolved(&[]);
    for (name, said) in [
        ("everyday.jsonl", "(data of an evaluation task) has changed"),
        ("task.toml", "(an evaluation task) has changed"),
        ("model/model.safetensors", "(the model) has changed"),
        ("model/tokenizer.json", "(the model) has changed"),
        ("model/tokenizer_config.json", "(the model) has changed"),
        ("seeds.jsonl", "(seeds) has changed"),
    ] {
        let path = scratch.path(name);
        let before = fs::read(&path).unwrap();
        let mut changed = before.clone();
        // One byte, in a label, a weight, a word.
        let last = changed.iter().rposition(u8::is_ascii_digit).unwrap();
        changed[last] = if changed[last] == b'1' { b'0' } else { b'1' };
        fs::write(&path, changed).unwrap();
        let error = scratch.refused(&["--iterations", "2"], 1);
        let file = Path::new(name).file_name().unwrap().to_str().unwrap();
        assert!(
            error.contains(file) && error.contains(said) && error.contains("put it back"),
            "{name}: {error}"
        );
        fs::write(&path, before).unwrap();
    }
    let summary = scratch.evolved(&["--iterations", "2"]);
    assert_eq!(summary["kept"]["model"], 2);
}

#[test]
fn old_models_without_their_ledger_are_not_evaluated_as_new_ones() {
    let scratch = Scratch::new();
    scratch.evolved(&[]);
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(scratch.path("run").join(name));
    }
    let error = scratch.refused(&[], 1);
    assert!(error.contains("put the ledger back") && error.contains("models"), "{error}");
    fs::remove_file(scratch.path("run/run.toml")).unwrap();
    let model = format!("{FIXTURES}/tiny-qwen2");
    let output = scratch.evolve(&["--model", &model]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("holds models and no run"), "{}", text(&output.stderr));
}

#[test]
fn a_rejected_model_is_no_gain_and_is_shown_as_rejected() {
    let scratch = Scratch::new();
    // What is learnt from the seeds makes every other text less probable.
    let seeds: Vec<String> = (0..12)
        .map(|n| {
            format!(
                "{{\"prompt\": \"What is {n}?\", \"response\": \"zzzz zzzz zzzz {}.\"}}\n",
                "zzzz ".repeat(n % 3)
            )
        })
        .collect();
    fs::write(scratch.path("seeds.jsonl"), seeds.concat()).unwrap();
    let items: Vec<String> = (0..20)
        .map(|n| {
            format!(
                "{{\"prompt\": \"Name {n}.\", \"response\": \"The quick brown fox jumps over {n} dogs.\"}}\n"
            )
        })
        .collect();
    fs::write(scratch.path("items.jsonl"), items.concat()).unwrap();
    fs::write(
        scratch.path("task.toml"),
        "name = \"other\"\ndata = \"items.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ prompt }}\"\n\
         [response_nll]\nresponse = \"response\"\n",
    )
    .unwrap();
    let more = [
        "--set",
        "evaluate.gate=keep_better",
        "--set",
        "sft.train.epochs=4",
        "--set",
        "sft.train.optimizer.learning_rate=0.1",
    ];
    let summary = scratch.evolved(&more);
    assert_eq!(summary["iterations"][0]["outcome"], "worse");
    assert_eq!(
        (&summary["kept"]["model"], &summary["iterations"][0]["rejected"]["kept"]),
        (&0.into(), &0.into())
    );
    let conclusion = summary["iterations"][0]["conclusion"].as_str().unwrap();
    assert!(conclusion.contains("It is rejected, and M_0 is kept"), "{conclusion}");
    let mut require = more.to_vec();
    require.push("--require-gain");
    assert!(scratch.refused(&require, 3).contains("no gain"));
    let report = lancer(&["report", scratch.path("run").to_str().unwrap()]);
    let shown = text(&report.stdout);
    assert!(shown.contains("M_1, rejected"), "{shown}");
    assert!(shown.contains("The model that the run has come to is M_0."), "{shown}");
}

/// Tokens that an iteration wrote and was trained on, evaluation apart.
fn tokens(iteration: &Value) -> u64 {
    let stages = iteration["stages"].as_array().unwrap().iter().filter(|stage| stage["stage"] != "evaluate");
    stages.map(|stage| stage["generated"].as_u64().unwrap() + stage["trained"].as_u64().unwrap()).sum()
}

#[test]
fn a_run_that_was_killed_makes_as_many_iterations_of_its_budget_as_one_that_was_not() {
    let scratch = Scratch::new();
    let whole = scratch.path("whole").display().to_string();
    let more = ["--iterations", "4", "--set", "sft.train.checkpoint_every=1"];
    let with = |run: &str, budget: u64| -> Vec<String> {
        let budget = format!("budget_tokens={budget}");
        more.iter().copied().chain(["--run", run, "--set", &budget]).map(str::to_owned).collect()
    };
    let as_texts = |arguments: &[String]| -> Value {
        scratch.evolved(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let one = as_texts(&with(&whole, 1));
    assert_eq!(one["iterations"].as_array().unwrap().len(), 1);
    let spent = tokens(&one["iterations"][0]);
    assert!(spent > 0);

    // Room for one iteration and a half.
    let killed = with(&scratch.path("run").display().to_string(), spent * 3 / 2);
    let arguments: Vec<&str> = killed.iter().map(String::as_str).collect();
    for wait in [100, 200, 300, 400, 500] {
        let mut child =
            scratch.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        // `kill -9` on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let summary = as_texts(&killed);
    assert_eq!((summary["iterations"].as_array().unwrap().len(), &summary["planned"]), (1, &1.into()));
    assert_eq!(tokens(&summary["iterations"][0]), spent);
}

#[test]
fn seeds_may_be_a_folder_or_a_pattern_whose_ids_begin_anew_in_each_file() {
    let scratch = Scratch::new();
    let seeds = scratch.path("seeds");
    fs::create_dir(&seeds).unwrap();
    for file in ["a", "b"] {
        let lines: Vec<String> = (1..=6)
            .map(|id| format!("{{\"id\": {id}, \"prompt\": \"What is {id} of {file}?\", \"response\": \"The {id} of {file}.\"}}\n"))
            .collect();
        fs::write(seeds.join(format!("{file}.jsonl")), lines.concat() + "no JSON\n").unwrap();
    }
    let pattern = seeds.join("*.jsonl").display().to_string();
    for (run, seeds) in [("folder", seeds.display().to_string()), ("pattern", pattern)] {
        let run = scratch.path(run).display().to_string();
        let summary = scratch.evolved(&["--seeds", &seeds, "--run", &run]);
        assert_eq!(summary["seeds"], 12, "{seeds}");
        assert_eq!(
            summary["rejected"]
                .as_object()
                .unwrap()
                .values()
                .map(|lines| lines.as_u64().unwrap())
                .sum::<u64>(),
            2
        );
    }
    let missing = scratch.path("none/*.jsonl").display().to_string();
    let error =
        scratch.refused(&["--seeds", &missing, "--run", &scratch.path("other").display().to_string()], 1);
    assert!(error.contains("none/*.jsonl"), "{error}");
    assert!(!scratch.path("other").exists());
}

#[test]
fn a_setting_out_of_range_is_refused_before_there_is_a_run() {
    let scratch = Scratch::new();
    for setting in
        ["review.top_p=nan", "generate.max_response_tokens=0", "expand.prompts=1000000", "iterations=0"]
    {
        let error = scratch.refused(&["--set", setting], 2);
        let (name, value) = setting.split_once('=').unwrap();
        let name = name.rsplit('.').next().unwrap();
        assert!(error.contains(name) && error.to_lowercase().contains(value), "{setting}: {error}");
        assert!(!scratch.path("run").exists(), "{setting}");
    }
    let error = scratch.refused(&["--seed", "18446744073709551615"], 2);
    assert!(error.contains("--seed") && error.contains("9223372036854775807"), "{error}");
}

#[test]
fn a_review_is_found_for_three_seeds() {
    let scratch = Scratch::new();
    let seeds = fs::read_to_string(scratch.path("seeds.jsonl")).unwrap();
    let three: String = seeds.lines().take(3).flat_map(|line| [line, "\n"]).collect();
    fs::write(scratch.path("seeds.jsonl"), three).unwrap();
    let summary = scratch.evolved(&["--set", "review.mode=auto", "--set", "review.max_tokens=8"]);
    let modes = summary["iterations"][0]["separations"].as_array().unwrap();
    assert_eq!(modes.len(), 2, "{modes:?}");
}
