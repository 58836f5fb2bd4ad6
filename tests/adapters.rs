//! Adapters, as a user trains, runs, merges and resumes them.

#![cfg(feature = "burn-cpu")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{collections::BTreeMap, fs, path::Path, process::Stdio, thread, time::Duration};

use program::{TINY, command, lancer, text};
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
const LORA: &str = "learner.method={lora={rank=4}}";

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Runs lancer, which must succeed, with JSON out.
fn run(arguments: &[&str]) -> Value {
    let output = lancer(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What lancer says of a failure.
fn refused(arguments: &[&str]) -> String {
    let output = lancer(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    text(&output.stderr)
}

/// A folder with `base.gguf`, in blocks of 8 bits, and `data.jsonl`, rows of a prompt, a response and a preference pair.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(&["convert", TINY, &path(folder.path(), "base.gguf"), "--format", "q8_0"]);
    let row = |number: usize| {
        let prompt = format!("Name colour number {number}.");
        let response = format!("Blue {number}.");
        json!({"id": number.to_string(), "prompt": prompt, "response": response, "chosen": response, "rejected": "No."})
    };
    let rows: Vec<String> = (0..6).map(|number| row(number).to_string()).collect();
    fs::write(folder.path().join("data.jsonl"), rows.join("\n")).unwrap();
    folder
}

fn train(folder: &Path, kind: &str, to: &str, more: &[&str]) -> Value {
    let (data, to) = (path(folder, "data.jsonl"), path(folder, to));
    let mut arguments = vec!["train", kind, &data, &to, "--threads", "1", "--set", "held_out=0"];
    arguments.extend(["--set", "train.batch={examples=3}", "--set", "train.optimizer.learning_rate=0.005"]);
    arguments.extend(["--set", "train.epochs=1", "--set", "train.schedule.warmup_ratio=0"]);
    arguments.extend(more);
    run(&arguments)
}

fn losses(report: &Value) -> Vec<f64> {
    report["steps"].as_array().unwrap().iter().map(|step| step["loss"].as_f64().unwrap()).collect()
}

#[test]
fn an_adapter_is_trained_trained_on_run_and_merged() {
    let scratch = folder();
    let folder = scratch.path();
    let (base, sft, dpo) = (path(folder, "base.gguf"), path(folder, "sft"), path(folder, "dpo"));
    train(folder, "sft", "sft", &["--model", &base, "--set", LORA]);
    assert!(folder.join("sft/adapter_model.safetensors").exists());
    assert!(!folder.join("sft/model.safetensors").exists());
    let note: Value =
        serde_json::from_slice(&fs::read(folder.join("sft/lancer_base.json")).unwrap()).unwrap();
    assert_eq!(note["path"], base);

    // By the path of the adapter, which names its base, and by both.
    let by_name = train(folder, "dpo", "dpo", &["--model", &sft, "--set", LORA]);
    let by_both = train(folder, "dpo", "again", &["--model", &base, "--adapter", &sft, "--set", LORA]);
    let found = losses(&by_name);
    assert_eq!(found, losses(&by_both));
    assert!((found[0] - std::f64::consts::LN_2).abs() < 1e-5 && found[1] < found[0], "{found:?}");
    let weights = |name: &str| fs::read(folder.join(name).join("adapter_model.safetensors")).unwrap();
    assert!(weights("dpo") == weights("again"));

    // Merged, it says the same as beside its base; `half` rounds.
    let (merged, gguf) = (path(folder, "merged.gguf"), path(folder, "adapter.gguf"));
    run(&["convert", &base, &merged, "--adapter", &dpo]);
    assert_eq!(run(&["convert", &dpo, &gguf, "--to", "adapter"])["pairs"], 14);
    let evaluated = |more: &[&str]| {
        let task = format!("{FIXTURES}/tasks/held_out.toml");
        run(&[&["eval", &task, "--threads", "1", "--backend", "burn"], more].concat())[0]["model"]["mean"]
            .clone()
    };
    let expected = evaluated(&["--model", &merged]);
    assert_ne!(expected, evaluated(&["--model", &base]));
    assert_eq!(evaluated(&["--model", &dpo]), expected);
    assert_eq!(evaluated(&["--model", &gguf]), expected);
    assert_eq!(evaluated(&["--model", &base, "--adapter", &dpo]), expected);
    // One that does not say over which base it was trained.
    fs::remove_file(folder.join("dpo/lancer_base.json")).unwrap();
    let error = refused(&["convert", &dpo, &path(folder, "nothing.gguf")]);
    assert!(error.contains("does not say over which base"), "{error}");
    assert_eq!(evaluated(&["--model", &base, "--adapter", &dpo]), expected);

    // Merged where that is asked for.
    train(folder, "sft", "whole", &["--model", &base, "--merge", "--set", LORA]);
    assert!(folder.join("whole/model.safetensors").exists());
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_done() {
    let scratch = folder();
    let folder = scratch.path();
    let (data, base, out) = (path(folder, "data.jsonl"), path(folder, "base.gguf"), path(folder, "out"));
    let with = |set: &str| refused(&["train", "sft", &data, &out, "--model", &base, "--set", set]);
    let error = with("learner.method={lora={targets=[\"q_proj\", \"qkv_proj\"]}}");
    assert!(error.contains("\"qkv_proj\"; there are q_proj, k_proj"), "{error}");
    let error = with("learner.method={lora={rank=0}}");
    assert!(error.contains("lora.rank is 0"), "{error}");
    train(folder, "sft", "adapter", &["--model", &base, "--set", LORA]);
    let adapter = path(folder, "adapter");
    let other = format!("{FIXTURES}/burn/blocks.gguf");
    for (base, said) in [(other.as_str(), "another base"), (TINY, "SHA-256")] {
        let error = refused(&["convert", base, &path(folder, "nothing.gguf"), "--adapter", &adapter]);
        assert!(error.contains(said), "{error}");
        let error =
            refused(&["train", "dpo", &data, &out, "--model", base, "--adapter", &adapter, "--set", LORA]);
        assert!(error.contains(said), "{error}");
    }
    let run = path(folder, "run");
    let seeds = format!("{FIXTURES}/seeds.jsonl");
    let sets =
        ["--set", "sft.learner.method={lora={rank=4}}", "--set", "preference.learner.method={lora={rank=8}}"];
    let error =
        refused(&[&["evolve", "--run", &run, "--seeds", &seeds, "--model", &base], &sets[..]].concat());
    assert!(error.contains("the rank 4, and lora asks for 8"), "{error}");
}

fn evolve(run: &Path, base: &str) -> Vec<String> {
    let mut arguments: Vec<String> = ["--json", "evolve", "--run"].map(str::to_owned).into();
    arguments.push(run.display().to_string());
    let seeds = run.with_file_name("seeds.jsonl");
    let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
    fs::write(&seeds, all.lines().take(16).flat_map(|line| [line, "\n"]).collect::<String>()).unwrap();
    for (name, value) in [
        ("--seeds", seeds.display().to_string()),
        ("--model", base.to_owned()),
        ("--backend", "burn".to_owned()),
        ("--task", format!("{FIXTURES}/tasks/held_out.toml")),
        ("--review", "likelihood".to_owned()),
        ("--iterations", "2".to_owned()),
        ("--threads", "1".to_owned()),
    ] {
        arguments.extend([name.to_owned(), value]);
    }
    for setting in [
        "review.calibration_seeds=12",
        "expand.sources=4",
        "expand.prompts=2",
        "expand.responses=2",
        "expand.worse_responses=2",
        "generate.max_prompt_tokens=24",
        "generate.max_response_tokens=24",
        "annotate.sft_threshold=5.0",
        "annotate.review_examples=2",
        "sft.learner.method={lora={rank=4}}",
        "sft.max_examples=8",
        "sft.train.batch={examples=4}",
        "sft.train.optimizer.learning_rate=0.001",
        "sft.train.checkpoint_every=1",
        "preference.learner.method={lora={rank=4}}",
        "preference.max_pairs=6",
        "preference.train.batch={examples=2}",
        "preference.train.checkpoint_every=1",
    ] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments
}

/// The files of a run's models, by their names.
fn models(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for model in fs::read_dir(run.join("models")).unwrap() {
        let model = model.unwrap();
        if !model.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(model.path()).unwrap() {
            let file = file.unwrap();
            let name = format!("{}/{}", model.file_name().display(), file.file_name().display());
            // The list of files has their times.
            if !name.ends_with(".lancer-files") {
                files.insert(name, fs::read(file.path()).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_run_of_adapters_that_is_killed_comes_to_the_same_adapters() {
    let scratch = folder();
    let base = path(scratch.path(), "base.gguf");
    let whole = scratch.path().join("whole");
    let arguments = evolve(&whole, &base);
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = lancer(&texts);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = models(&whole);
    for model in ["m1", "m2"] {
        assert!(
            expected.contains_key(&format!("{model}/adapter_model.safetensors")),
            "{:?}",
            expected.keys()
        );
        let note: Value = serde_json::from_slice(&expected[&format!("{model}/lancer_base.json")]).unwrap();
        assert_eq!(note["path"], base, "the base of every model is the first");
    }
    assert!(!expected.keys().any(|name| name.ends_with("/model.safetensors")), "{:?}", expected.keys());
    assert_ne!(expected["m1/adapter_model.safetensors"], expected["m2/adapter_model.safetensors"]);

    let killed = scratch.path().join("killed");
    let arguments = evolve(&killed, &base);
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut kills = 0;
    for wait in [300, 600, 900, 1200, 1500] {
        let mut child = command(&texts).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        // `kill -9` on Unix.
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills > 0, "every child had ended before it was killed");
    let resumed = lancer(&texts);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let found = models(&killed);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

/// llama.cpp runs the user's own file, and the adapters over it.
#[cfg(feature = "llama-cpp")]
#[test]
fn llama_cpp_runs_adapters_over_the_users_own_file() {
    let scratch = folder();
    let base = path(scratch.path(), "base.gguf");
    let run = scratch.path().join("run");
    let arguments = evolve(&run, &base);
    let texts: Vec<&str> = arguments
        .iter()
        .map(|argument| if argument == "burn" { "llama-cpp" } else { argument.as_str() })
        .collect();
    let output = lancer(&texts);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = models(&run);
    assert!(written.contains_key("m2/adapter_model.safetensors"), "{:?}", written.keys());
    let is_whole = |name: &&String| name.contains(".gguf") || name.ends_with("/model.safetensors");
    assert_eq!(written.keys().find(is_whole), None, "a whole model was written");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gain = &summary["iterations"][1]["gain"]["mean"];
    assert!(
        gain.as_f64().is_some_and(|gain| gain != 0.0),
        "the adapter changes nothing where it is run: {summary}"
    );
}
