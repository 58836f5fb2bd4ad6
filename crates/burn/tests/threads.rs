//! The same seed gives the same weights bit for bit, however many threads compute them.
//!
//! Rayon's threads are started once in a process, so the test runs itself in child processes.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use lancer_backend::{Conversation, Learner, Message, Seed, WeightFormat};
use lancer_burn::{Activations, BurnLearner, LoraSettings, Method, Products, TrainSettings};
use lancer_prefer::{
    BatchSize, CheckpointPolicy, PreferenceExample, SftExample, Split, loss::PreferenceLoss,
    train_preference, train_sft,
};

const FOLDER: &str = "LANCER_TEST_FOLDER";

const MODELS: [&str; 2] = ["tiny-llama", "tiny-gemma3"];

fn learners() -> Vec<(&'static str, TrainSettings)> {
    let full = TrainSettings::default();
    let lora = LoraSettings { rank: 4, dropout: 0.1, ..LoraSettings::default() };
    vec![
        ("full", full.clone()),
        ("recompute", TrainSettings { activations: Activations::Recompute, ..full.clone() }),
        ("lora", TrainSettings { method: Method::Lora(lora), ..full.clone() }),
        ("bf16", TrainSettings { products: Products::Bf16, ..full }),
    ]
}

/// A text of so many words, to have sequences of many lengths.
fn words(number: usize, count: usize) -> String {
    (0..count)
        .map(|place| format!("word {} and", (number * 31 + place * 17) % 97))
        .collect::<Vec<_>>()
        .join(" ")
}

fn train(learner: &mut BurnLearner, kind: &str) {
    let mut settings = lancer_prefer::TrainSettings {
        epochs: 2,
        batch: BatchSize::Examples(4),
        tokens_per_forward: 400,
        ..lancer_prefer::TrainSettings::default()
    };
    settings.optimizer.learning_rate = 2e-3;
    let prompt = |number: usize| vec![Message::user(words(number, 1 + number % 5))];
    let policy = CheckpointPolicy::None;
    let steps = if kind == "sft" {
        let examples: Vec<SftExample> = (0..10)
            .map(|number| {
                let response = Message::assistant(words(number + 50, 1 + number * 2));
                SftExample::new(number.to_string(), Conversation::of_turns(prompt(number), response))
            })
            .collect();
        train_sft(learner, Split::train_only(&examples), &settings, policy, Seed(1), &mut ()).unwrap().steps
    } else {
        let pairs: Vec<PreferenceExample> = (0..10)
            .map(|number| PreferenceExample {
                key: number.to_string(),
                prompt: prompt(number).into(),
                chosen: Message::assistant(words(number + 50, 1 + number * 2)),
                rejected: Message::assistant(words(number + 70, 1 + number)),
            })
            .collect();
        let (split, loss) = (Split::train_only(&pairs), PreferenceLoss::default());
        let references = &mut HashMap::new();
        train_preference(learner, split, &loss, &settings, policy, Seed(1), references, &mut ())
            .unwrap()
            .steps
    };
    assert!(steps.len() >= 5, "{steps:?}");
}

/// What a child does; nothing where the test is run by itself.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    for model in MODELS {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(model);
        for (name, settings) in learners() {
            for kind in ["sft", "dpo"] {
                let mut learner = BurnLearner::load(&path, &settings).unwrap();
                train(&mut learner, kind);
                learner.export(&folder.join(format!("{model}-{name}-{kind}")), WeightFormat::F32).unwrap();
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_weights() {
    let trained: Vec<tempfile::TempDir> = [1, 2, 3]
        .into_iter()
        .map(|threads: u32| {
            let folder = tempfile::tempdir().unwrap();
            let output = Command::new(env::current_exe().unwrap())
                .args(["--exact", "child", "--nocapture", "--test-threads=1"])
                .env(FOLDER, folder.path())
                .env("RAYON_NUM_THREADS", threads.to_string())
                .output()
                .unwrap();
            assert!(output.status.success(), "{threads}: {}", String::from_utf8_lossy(&output.stderr));
            folder
        })
        .collect();
    let mut compared = 0;
    let mut differing = Vec::new();
    for model in MODELS {
        for (name, _) in learners() {
            for kind in ["sft", "dpo"] {
                let training = format!("{model}-{name}-{kind}");
                let weights = |folder: &tempfile::TempDir| {
                    fs::read(folder.path().join(&training).join("model.safetensors")).unwrap()
                };
                let one = weights(&trained[0]);
                for (folder, threads) in trained[1..].iter().zip(2..) {
                    compared += 1;
                    if weights(folder) != one {
                        differing.push(format!("{training} with {threads} threads"));
                    }
                }
            }
        }
    }
    assert_eq!(compared, 32);
    assert!(differing.is_empty(), "other weights than with 1 thread: {}", differing.join(", "));
}
