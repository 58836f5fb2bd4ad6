//! Each subcommand by itself, as a user runs it, on the tiny model.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::fs;

use program::{TINY, lancer, text};
use serde_json::Value;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/seeds.jsonl");

/// A folder with the first `count` seeds as `seeds.jsonl`.
fn seeds(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = fs::read_to_string(SEEDS).unwrap();
    let some: String = all.lines().take(count).flat_map(|line| [line, "\n"]).collect();
    fs::write(folder.path().join("seeds.jsonl"), some).unwrap();
    folder
}

/// Runs a command that is to succeed and print JSON; `@` in an argument stands for the folder.
fn json(folder: &tempfile::TempDir, arguments: &[&str]) -> Value {
    let within = |argument: &&str| argument.replace('@', &folder.path().display().to_string());
    let arguments: Vec<String> = arguments.iter().map(within).collect();
    let output = lancer(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn pairs_are_reviewed() {
    let folder = seeds(8);
    let found = json(
        &folder,
        &[
            "--json",
            "review",
            "@/seeds.jsonl",
            "@/scored.jsonl",
            "--model",
            TINY,
            "--threads",
            "1",
            "--set",
            "mode=likelihood",
        ],
    );
    assert_eq!((found["pairs"].as_u64(), found["scored"].as_u64()), (Some(8), Some(8)));
    let written = fs::read_to_string(folder.path().join("scored.jsonl")).unwrap();
    for line in written.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!((0.0..=10.0).contains(&row["score"].as_f64().unwrap()), "{row}");
    }
}

#[test]
fn texts_are_generated() {
    let folder = seeds(4);
    for (what, texts) in [("responses", 8), ("worse", 8)] {
        let found = json(
            &folder,
            &[
                "--json",
                "generate",
                "@/seeds.jsonl",
                &format!("@/{what}.jsonl"),
                "--what",
                what,
                "--count",
                "2",
                "--threads",
                "1",
                "--model",
                TINY,
                "--set",
                "max_response_tokens=16",
            ],
        );
        assert_eq!(found["written"].as_u64(), Some(texts), "{what}: {found}");
        let unusable: u64 = found["unusable"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(found["usable"].as_u64().unwrap() + unusable, texts, "{what}: {found}");
    }
}

#[test]
fn copies_are_dropped_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        (
            "a",
            "Why is the sky blue on a clear day?",
            "Air scatters blue light more than it scatters red light.",
        ),
        (
            "b",
            "Why is the sky blue on a clear day, please?",
            "Air scatters the blue light more than it does the red.",
        ),
        (
            "c",
            "Write one sentence about the deep sea.",
            "The sea is deep and cold, and it is never quite still.",
        ),
        ("d", "Hm?", "The prompt is too short, however long this response to it may be."),
    ];
    let lines: Vec<String> = rows
        .iter()
        .map(|(id, prompt, response)| {
            serde_json::json!({"id": id, "prompt": prompt, "response": response}).to_string()
        })
        .collect();
    fs::write(folder.path().join("pairs.jsonl"), lines.join("\n") + "\nno JSON\n").unwrap();
    let found = json(
        &folder,
        &["--json", "clean", "@/pairs.jsonl", "@/kept.parquet", "--dropped", "@/dropped.jsonl"],
    );
    assert_eq!((found["pairs"].as_u64(), found["kept"].as_u64()), (Some(4), Some(2)), "{found}");
    let dropped = fs::read_to_string(folder.path().join("dropped.jsonl")).unwrap();
    let rules: Vec<Value> = dropped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rules[0]["key"], "b");
    assert_eq!(rules[0]["resembles"], "a");
    assert_eq!(rules[1]["rule"], "prompt_too_short");
    // What is kept is read again.
    let again = json(&folder, &["--json", "clean", "@/kept.parquet", "@/again.json"]);
    assert_eq!((again["pairs"].as_u64(), again["kept"].as_u64()), (Some(2), Some(2)), "{again}");
}

#[test]
fn a_model_is_trained_and_evaluated() {
    let folder = seeds(12);
    let sft = json(
        &folder,
        &[
            "--json",
            "train",
            "sft",
            "@/seeds.jsonl",
            "@/tuned",
            "--model",
            TINY,
            "--set",
            "train.epochs=3",
            "--set",
            "train.optimizer.learning_rate=0.002",
            "--set",
            "train.batch={examples=4}",
            "--set",
            "held_out=0.0",
        ],
    );
    let steps = sft["steps"].as_array().unwrap();
    let loss = |step: &Value| step["loss"].as_f64().unwrap();
    assert_eq!(steps.len(), 9);
    assert!(loss(&steps[8]) < loss(&steps[0]), "{sft}");

    let pairs: Vec<String> = (0..6)
        .map(|n| {
            let row = serde_json::json!({
                "prompt": format!("Name colour number {n}."), "chosen": "Blue is a colour.", "rejected": "No, no, no.",
            });
            row.to_string()
        })
        .collect();
    fs::write(folder.path().join("pairs.jsonl"), pairs.join("\n")).unwrap();
    let tuned = folder.path().join("tuned").display().to_string();
    let dpo = json(
        &folder,
        &[
            "--json",
            "train",
            "dpo",
            "@/pairs.jsonl",
            "@/preferred.gguf",
            "--model",
            &tuned,
            "--set",
            "train.epochs=4",
            "--set",
            "train.optimizer.learning_rate=0.001",
            "--set",
            "train.batch={examples=3}",
            "--set",
            "held_out=0.0",
        ],
    );
    let steps = dpo["steps"].as_array().unwrap();
    let margin = |step: &Value| step["preference"]["reward_margin"].as_f64().unwrap();
    assert!(margin(&steps[0]).abs() < 1e-6 && margin(steps.last().unwrap()) > 0.0, "{dpo}");

    fs::write(
        folder.path().join("task.toml"),
        "name = \"seeds\"\ndata = \"seeds.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ prompt }}\"\n\
         [response_nll]\nresponse = \"response\"\n",
    )
    .unwrap();
    let eval = json(
        &folder,
        &[
            "--json",
            "eval",
            "@/task.toml",
            "--model",
            "@/tuned",
            "--threads",
            "1",
            "--against",
            TINY,
            "--items",
            "@/items.jsonl",
        ],
    );
    let compared = &eval[0]["against"];
    let mean = |estimate: &Value| estimate["mean"].as_f64().unwrap();
    assert!(mean(&compared["after"]) < mean(&compared["before"]), "{eval}");
    assert_eq!(fs::read_to_string(folder.path().join("items.jsonl")).unwrap().lines().count(), 24);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = seeds(4);
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("bad.jsonl"), "no JSON\n{\"prompt\": 3}\n").unwrap();
    for (arguments, code, said) in [
        (vec!["review", "nothing.jsonl", "out.jsonl", "--model", TINY], 1, "nothing.jsonl"),
        (vec!["review", &path("seeds.jsonl"), "out.txt", "--model", TINY], 1, "out.txt"),
        (vec!["review", &path("bad.jsonl"), "out.jsonl", "--model", TINY], 1, "no usable conversation"),
        (vec!["review", &path("seeds.jsonl"), "out.jsonl", "--set", "moode=likelihood"], 2, "moode"),
        (vec!["generate", &path("seeds.jsonl"), "out.jsonl", "--set", "temperature=-1.0"], 2, "temperature"),
        (vec!["train", "dpo", &path("seeds.jsonl"), "out", "--model", TINY], 1, "chosen"),
        (vec!["eval", "nothing.toml", "--model", TINY], 1, "nothing.toml"),
        (vec!["report", "nothing"], 1, "nothing"),
        (
            vec!["evolve", "--seeds", "nothing.jsonl", "--model", TINY, "--run", &path("run")],
            1,
            "nothing.jsonl",
        ),
        (vec!["evolve", "--model", TINY, "--run", &path("run")], 2, "--seeds"),
        (vec!["evolve", "--set", "sft.lr=3", "--model", TINY, "--run", &path("run")], 2, "lr"),
    ] {
        let failed = lancer(&arguments);
        let stderr = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    assert!(!folder.path().join("run").exists(), "a run was begun with wrong arguments");
}

#[cfg(feature = "onnx")]
#[test]
fn without_onnx_runtime_the_error_says_how_to_get_it() {
    let folder = seeds(1);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let arguments =
        ["generate", &path("seeds.jsonl"), &path("new.jsonl"), "--model", TINY, "--backend", "onnx"];
    let failed = program::command(&arguments).env("ORT_DYLIB_PATH", path("no-library.so")).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    for way in ["no-library.so", "set ORT_DYLIB_PATH", "install it", "cargo xtask setup"] {
        assert!(said.contains(way), "{way} is not in: {said}");
    }
}

/// CUDA is not built in where the tests are; WebGPU is, and the usual library lacks it.
#[cfg(all(feature = "onnx-webgpu", not(feature = "onnx-cuda")))]
#[test]
fn without_what_computes_the_error_says_how_to_get_it() {
    let folder = seeds(1);
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (backend, ways) in [
        ("onnx-cuda", ["built without it", "--features onnx-cuda"]),
        ("onnx-webgpu", ["ORT_DYLIB_PATH", "onnxruntime-webgpu"]),
    ] {
        let arguments =
            ["generate", &path("seeds.jsonl"), &path("new.jsonl"), "--model", TINY, "--backend", backend];
        let failed = program::command(&arguments).output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{backend}");
        let said = text(&failed.stderr);
        for way in ways {
            assert!(said.contains(way), "{way} is not in: {said}");
        }
    }
}

#[test]
fn a_benchmark_is_evaluated_by_its_name() {
    let folder = seeds(1);
    let rows: Vec<String> = (0..6)
        .map(|n| {
            format!(
                "{{\"goal\": \"Open door {n}\", \"sol1\": \"Turn it.\", \"sol2\": \"Eat it.\", \"label\": {}}}\n",
                n % 2
            )
        })
        .collect();
    fs::write(folder.path().join("doors.jsonl"), rows.concat()).unwrap();
    let data = folder.path().join("doors.jsonl").display().to_string();
    let found = json(
        &folder,
        &[
            "--json",
            "eval",
            "piqa",
            "--data",
            &data,
            "--limit",
            "4",
            "--results",
            "@/results.json",
            "--model",
            TINY,
            "--threads",
            "1",
        ],
    );
    assert_eq!(found[0]["task"], "piqa");
    assert_eq!(found[0]["model"]["items"], 4);
    let results: Value =
        serde_json::from_slice(&fs::read(folder.path().join("results.json")).unwrap()).unwrap();
    assert_eq!(results["results"]["piqa"]["acc,none"], found[0]["model"]["mean"]);
    assert_eq!(results["n-samples"]["piqa"]["original"], 6);
    assert_eq!(results["higher_is_better"]["piqa"]["acc"], true);

    for (arguments, said) in [
        (vec!["eval", "piqq", "--data", &data], "did you mean `piqa`"),
        (vec!["eval", "piqa"], "--data FILE"),
        (vec!["eval", "piqa", "gsm8k", "--data", &data], "--data piqa=FILE"),
        (vec!["eval", "missing.toml"], "missing.toml"),
    ] {
        let output = lancer(&[&arguments[..], &["--model", TINY]].concat());
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{arguments:?}: {error}");
    }
    let known = json(&folder, &["--json", "eval", "--list"]);
    assert!(known["mmlu"].as_str().unwrap().contains("MMLU"), "{known}");
}
