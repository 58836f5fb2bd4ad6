//! `lancer train`: checkpoints that belong to one training, and settings that are refused at once.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![cfg(feature = "burn")]

mod program;

use std::{fs, path::Path};

use program::{TINY, lancer, text};
use serde_json::{Value, json};

/// A folder with `data.jsonl`: fourteen preference pairs over seven prompts, which are pairs of a prompt and a response too.
fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..14)
        .map(|number| {
            let prompt = format!("Name colour number {}.", number / 2);
            json!({
                "id": format!("row {number}"), "prompt": prompt, "response": format!("Blue {number}."),
                "chosen": format!("Blue is colour {number}."), "rejected": "No, no, no.",
            })
            .to_string()
        })
        .collect();
    fs::write(folder.path().join("data.jsonl"), rows.join("\n")).unwrap();
    folder
}

const SETTINGS: [&str; 5] = [
    "train.epochs=2",
    "train.batch={examples=3}",
    "train.checkpoint_every=2",
    "train.optimizer.learning_rate=0.001",
    "held_out=0.2",
];

/// Runs `lancer train KIND data.jsonl TO` in a folder, with these settings and more.
fn train(folder: &Path, kind: &str, to: &str, changes: &[&str], more: &[&str]) -> std::process::Output {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<String> =
        ["--json", "train", kind, &path("data.jsonl"), &path(to), "--model", TINY].map(str::to_owned).into();
    for change in SETTINGS.iter().chain(changes) {
        arguments.extend(["--set".into(), (*change).to_owned()]);
    }
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    lancer(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn finished(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn steps(report: &Value) -> Vec<u64> {
    report["steps"].as_array().unwrap().iter().map(|step| step["step"].as_u64().unwrap()).collect()
}

#[test]
fn a_training_goes_on_from_its_checkpoints_to_the_same_weights() {
    for kind in ["sft", "dpo"] {
        let folder = data();
        let checkpoints = folder.path().join("checkpoints");
        let with = ["--checkpoints", checkpoints.to_str().unwrap()];
        let whole = finished(&train(folder.path(), kind, "whole", &[], &with));
        let all = steps(&whole);
        assert!(all.len() >= 7, "{kind}: {all:?}");
        // Checkpoints are after each second step; the last one is removed, as if the training had been killed before it.
        let saved: Vec<_> = fs::read_dir(&checkpoints)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("step-"))
            .collect();
        assert_eq!(saved, [format!("step-{:06}", all.len() / 2 * 2)]);
        let again = finished(&train(folder.path(), kind, "again", &[], &with));
        assert_eq!(steps(&again), all[all.len() / 2 * 2..], "{kind}: it did not go on");
        let weights = |name: &str| fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
        assert!(weights("whole") == weights("again"), "{kind}: other weights");
    }
}

#[test]
fn checkpoints_of_another_training_are_refused_and_left_alone() {
    for kind in ["sft", "dpo"] {
        let folder = data();
        let checkpoints = folder.path().join("checkpoints");
        let with = ["--checkpoints", checkpoints.to_str().unwrap()];
        finished(&train(folder.path(), kind, "first", &[], &with));
        let description = fs::read(checkpoints.join("training.json")).unwrap();

        let refused = |to: &str, changes: &[&str], more: &[&str], said: &str| {
            let output = train(folder.path(), kind, to, changes, more);
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{kind}, {changes:?}: {stderr}");
            assert!(
                stderr.contains(said) && stderr.contains("another folder"),
                "{kind}, {changes:?}: {stderr}"
            );
            assert!(!folder.path().join(to).exists(), "{kind}: an old model was written as a new one");
            assert_eq!(fs::read(checkpoints.join("training.json")).unwrap(), description);
        };
        refused("second", &["train.epochs=3"], &with, "train.epochs: 2, now 3");
        refused("second", &["train.optimizer.learning_rate=0.002"], &with, "learning_rate");
        refused("second", &["learner.activations=\"recompute\""], &with, "the learner's settings");
        let seed = [&with[..], &["--seed", "2"]].concat();
        refused("second", &["held_out=0.0"], &seed, "seed: 1, now 2");
        // Other data under the same ids.
        let data = folder.path().join("data.jsonl");
        let text = fs::read_to_string(&data).unwrap();
        fs::write(&data, text.replace("Blue 5.", "Red.").replace("colour 5.", "red.")).unwrap();
        refused("second", &[], &with, "examples");
        fs::write(&data, text).unwrap();
        // Another template is another model.
        let model = folder.path().join("model");
        fs::create_dir(&model).unwrap();
        for entry in fs::read_dir(TINY).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
        let template = model.join("chat_template.jinja");
        let source = fs::read_to_string(&template).unwrap();
        fs::write(&template, format!("{source}{{# changed #}}")).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments: Vec<String> =
            vec!["train".into(), kind.into(), path("data.jsonl"), path("second")];
        arguments.extend(["--model".into(), model.display().to_string()]);
        arguments.extend(SETTINGS.iter().flat_map(|change| ["--set".to_owned(), (*change).to_owned()]));
        arguments.extend(with.map(str::to_owned));
        let output = lancer(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let stderr = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("chat_template.jinja of the base model"), "{stderr}");
        assert!(!stderr.contains("model.safetensors of the base model"), "{stderr}");
    }
}

#[test]
fn a_damaged_checkpoint_is_said_and_nothing_is_lost_by_it() {
    let folder = data();
    let checkpoints = folder.path().join("checkpoints");
    let with = ["--checkpoints", checkpoints.to_str().unwrap()];
    let keep = ["train.keep_checkpoints=2"];
    let whole = finished(&train(folder.path(), "dpo", "whole", &keep, &with));
    let last = steps(&whole).len() / 2 * 2;
    let file = checkpoints.join(format!("step-{last:06}/learner/weights.safetensors"));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let output = train(folder.path(), "dpo", "again", &keep, &with);
    let again = finished(&output);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("weights.safetensors is not as it was written"), "{stderr}");
    assert_eq!(steps(&again)[0], last as u64 - 1);
    let weights = |name: &str| fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("again"));
    assert!(checkpoints.join(format!("damaged-step-{last:06}")).exists());
}

#[test]
fn held_out_prompts_are_not_trained_on() {
    let folder = data();
    for kind in ["sft", "dpo"] {
        let report = finished(&train(folder.path(), kind, kind, &["train.evaluate_every=100"], &[]));
        // A fifth of fourteen is two: both examples of one prompt of the seven.
        assert_eq!(
            (report["examples"].as_u64(), report["held_out"][0]["examples"].as_u64()),
            (Some(12), Some(2))
        );
    }
}

#[test]
fn a_training_of_one_step_changes_the_weights() {
    let folder = data();
    let changes = ["train.epochs=1", "train.batch={examples=100}"];
    let report = finished(&train(folder.path(), "sft", "tuned", &changes, &[]));
    assert_eq!(steps(&report), [1]);
    assert!(report["steps"][0]["learning_rate"].as_f64().unwrap() > 0.0, "{report}");
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&folder.path().join("tuned")) != weights(Path::new(TINY)));
}

#[test]
fn wrong_settings_are_refused_before_a_file_is_read() {
    let folder = data();
    fs::remove_file(folder.path().join("data.jsonl")).unwrap();
    for (kind, change, said) in [
        ("sft", "held_out=10.0", "0.1 holds out a tenth"),
        ("dpo", "held_out=1.0", "held_out"),
        ("sft", "train.epochs=0", "epochs"),
        ("sft", "train.optimizer.learning_rate=3.0", "learning_rate"),
        ("dpo", "loss.beta=-1.0", "beta"),
        ("sft", "learner.foo=1", "expected one of `method`"),
        ("dpo", "learner.method={lora={rank=0}}", "lora.rank is 0"),
        ("dpo", "learner.device=\"cuda\"", "cuda"),
        ("sft", "learner.products=\"f8\"", "bf16"),
    ] {
        if change.contains("cuda") && cfg!(feature = "burn-cuda") {
            continue;
        }
        let output = train(folder.path(), kind, "out", &[change], &[]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{change}: {stderr}");
        assert!(stderr.contains(said), "{change}: {stderr}");
    }
    // A run is not begun with them.
    let run = folder.path().join("run").display().to_string();
    let seeds = folder.path().join("seeds.jsonl");
    fs::write(&seeds, r#"{"prompt": "What is new?", "response": "This."}"#).unwrap();
    let arguments = ["evolve", "--run", &run, "--model", TINY, "--seeds", seeds.to_str().unwrap(), "--set"];
    for (change, said) in [("sft.learner.foo=1", "`foo`"), ("preference.held_out=10.0", "held_out")] {
        let output = lancer(&[&arguments[..], &[change]].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{change}: {stderr}");
        assert!(stderr.contains(said), "{change}: {stderr}");
        assert!(!Path::new(&run).exists(), "{change}: a run was begun");
    }
}

#[test]
fn examples_that_are_all_too_long_are_counted() {
    let folder = data();
    let output = train(folder.path(), "sft", "out", &["train.max_length=4"], &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("of 12 examples, 14 ") && stderr.contains("train.max_length"), "{stderr}");
}
