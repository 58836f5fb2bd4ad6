//! The evaluation agrees with lm-evaluation-harness item by item: the built engine on the real model and the real data
//! against `fixtures/eval/lm_eval.json` (made by `make_lm_eval.py` there). Skipped where model or data are absent.

#![cfg(feature = "llama-cpp")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lancer_skipped::skip;
use program::{lancer, text};
use serde::Deserialize;
use serde_json::Value;

/// The largest difference of the log-probability of a whole choice, in nats.
const TOLERANCE: f64 = 0.05;

/// How many items of each task, of those in the fixture; more would take too long.
const ITEMS: [(&str, usize); 4] = [("piqa", 24), ("truthfulqa_mc1", 8), ("truthfulqa_mc2", 6), ("gsm8k", 2)];

/// What lm-evaluation-harness found for an item.
#[derive(Deserialize)]
struct Expected {
    /// Of each choice, in lancer's order.
    log_probs: Option<Vec<f64>>,
    acc: Option<f64>,
    acc_norm: Option<f64>,
    /// What the model wrote.
    text: Option<String>,
    #[serde(rename = "strict-match")]
    strict_match: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The model of the fixture, where `cargo xtask setup` has put it.
fn model() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let model = cache?.join("lancer/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    model.exists().then_some(model)
}

/// The known task on its first `items` items, in `folder`; `None` where its data is absent.
fn task(folder: &Path, name: &str, items: usize) -> Option<String> {
    let tasks = root().join("crates/eval/tasks");
    let source = fs::read_to_string(tasks.join(name).with_extension("toml")).unwrap();
    let line = source.lines().find(|line| line.starts_with("data = ")).unwrap();
    let shared = root().join("../shared/data");
    let data = fs::canonicalize(shared.join(line.trim_start_matches("data = ").trim_matches('"'))).ok()?;
    let short = source.replace(line, &format!("data = '{}'\nlimit = {{ first = {items} }}", data.display()));
    let path = folder.join(name).with_extension("toml");
    fs::write(&path, short).unwrap();
    Some(path.display().to_string())
}

fn run(arguments: &[&str]) {
    let output = lancer(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
}

#[test]
fn items_agree_with_lm_evaluation_harness() {
    let Some(model) = model() else {
        skip!("the default model is absent; `cargo xtask setup` fetches it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let within = |name: &str| folder.path().join(name).display().to_string();
    let tasks: Option<Vec<String>> =
        ITEMS.iter().map(|&(name, items)| task(folder.path(), name, items)).collect();
    let Some(tasks) = tasks else {
        skip!("the data is absent: ../shared/data beside the checkout");
        return;
    };

    // 32-bit weights, as lm-evaluation-harness had them.
    run(&["convert", &model.display().to_string(), &within("model.gguf")]);
    let (weights, found) = (within("model.gguf"), within("items.jsonl"));
    let mut arguments = vec!["--json", "eval", "--threads", "1", "--model", &weights, "--items", &found];
    arguments.extend(tasks.iter().map(String::as_str));
    run(&arguments);

    let fixture = fs::read_to_string(root().join("fixtures/eval/lm_eval.json")).unwrap();
    let expected: BTreeMap<String, Vec<Expected>> = serde_json::from_str(&fixture).unwrap();
    let rows = fs::read_to_string(found).unwrap();
    let mut seen = 0;
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let item = usize::try_from(row["item"].as_u64().unwrap()).unwrap();
        check(&row, &expected[row["task"].as_str().unwrap()][item]);
        seen += 1;
    }
    assert_eq!(seen, ITEMS.iter().map(|(_, items)| items).sum::<usize>());
}

fn check(row: &Value, expected: &Expected) {
    let detail = &row["detail"];
    if let Some(log_probs) = &expected.log_probs {
        let choices = detail["choices"].as_array().unwrap();
        assert_eq!(choices.len(), log_probs.len(), "{row}");
        for (choice, expected) in choices.iter().zip(log_probs) {
            let difference = choice["log_prob"].as_f64().unwrap() - expected;
            assert!(difference.abs() <= TOLERANCE, "{difference} apart: {row}");
        }
    }
    if let Some(value) = expected.acc_norm.or(expected.acc) {
        assert!((row["value"].as_f64().unwrap() - value).abs() <= 0.01, "expected {value}: {row}");
    }
    if let Some(written) = &expected.text {
        assert_eq!(detail["text"].as_str(), Some(written.as_str()));
        assert_eq!(detail["answer"].as_str(), expected.strict_match.as_deref());
    }
}
