//! `lancer evolve --until` and `--trained`: data only, a training elsewhere, and the run goes on with what came of it.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;
mod tiny_run;

use std::{fs, path::Path};

use program::{TINY, lancer, text};
use serde_json::Value;

/// Goes on with the run in `folder`, with more arguments.
fn evolve(folder: &Path, more: &[&str]) -> Result<Value, String> {
    let arguments = tiny_run::arguments(&folder.join("run"), 1);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let output = lancer(&arguments);
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(text(&output.stderr))
    }
}

#[test]
fn data_is_made_alone_and_a_model_trained_elsewhere_is_brought_back() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let run = folder.join("run");

    let early = evolve(folder, &["--until", "review-seeds"]).unwrap();
    assert_eq!(early["iterations"][0]["unfinished"], "generate");
    let refused = evolve(folder, &["--trained", TINY]).unwrap_err();
    assert!(refused.contains("--until annotate"), "{refused}");

    let data = evolve(folder, &["--until", "annotate"]).unwrap();
    assert_eq!(data["iterations"][0]["unfinished"], "sft");
    let sft = run.join("exports/iteration-1/sft.jsonl");
    assert!(sft.exists() && !run.join("models/m1").exists());
    // Again, it goes no further.
    let again = evolve(folder, &["--until", "annotate"]).unwrap();
    assert_eq!(again["iterations"][0]["unfinished"], "sft");

    let unchanged = evolve(folder, &["--trained", TINY]).unwrap_err();
    assert!(unchanged.contains("nothing was trained"), "{unchanged}");

    let trained = folder.join("trained");
    let (sft, to) = (sft.display().to_string(), trained.display().to_string());
    let rate = "train.optimizer.learning_rate=0.001";
    let training = lancer(&["train", "sft", &sft, &to, "--model", TINY, "--threads", "1", "--set", rate]);
    assert!(training.status.success(), "{}", text(&training.stderr));
    let whole = evolve(folder, &["--trained", &to]).unwrap();
    assert_eq!(whole["iterations"][0]["unfinished"], Value::Null);
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&run.join("models/m1")) == weights(&trained), "the run's model is not what was trained");

    let check = lancer(&["check", &run.display().to_string()]);
    assert!(check.status.success(), "{}{}", text(&check.stdout), text(&check.stderr));
}

#[test]
fn a_stage_that_does_not_exist_is_refused_with_all_that_do() {
    let refused = lancer(&["evolve", "--until", "training"]);
    assert_eq!(refused.status.code(), Some(2));
    let error = text(&refused.stderr);
    assert!(error.contains("review-seeds") && error.contains("annotate"), "{error}");
}
