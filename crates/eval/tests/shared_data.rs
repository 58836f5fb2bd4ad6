//! The task files of tasks/ over the real data beside the checkout, and of fixtures/tasks over the project's own.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_eval::{Metric, Task, TaskSpec};
use lancer_skipped::skip;

fn task_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The task with its data; `None` where the data is absent.
fn load(path: &Path) -> Option<Task> {
    let spec = TaskSpec::load(path).unwrap_or_else(|error| panic!("{error:?}"));
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let known = shared.join(spec.data().file_name().unwrap_or_default());
    let spec = if path.starts_with(fixtures()) { spec } else { spec.with_data(&known) };
    let Ok(text) = fs::read_to_string(spec.data()) else {
        let name = path.file_name().unwrap_or_default();
        skip!("{} was only parsed: its data {} is absent", name.display(), spec.data().display());
        return None;
    };
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Some(Task::new(spec, rows).unwrap_or_else(|error| panic!("{error:?}")))
}

#[test]
fn known_tasks_read_the_shared_data() {
    // Records of the data less those that are few-shot examples, from the README of the shared data. Where it has none, 0:
    // such a file is read here and checked in rendering.rs.
    let expected = [
        ("arc_challenge", 0, Metric::Accuracy),
        ("arc_easy", 0, Metric::Accuracy),
        ("bbh_boolean_expressions", 122, Metric::Accuracy),
        ("bbh_causal_judgement", 91, Metric::Accuracy),
        ("bbh_date_understanding", 122, Metric::Accuracy),
        ("bbh_hyperbaton", 122, Metric::Accuracy),
        ("bbh_navigate", 122, Metric::Accuracy),
        ("bbh_object_counting", 122, Metric::Accuracy),
        ("bbh_sports_understanding", 122, Metric::Accuracy),
        ("bbh_web_of_lies", 122, Metric::Accuracy),
        ("gsm8k", 655, Metric::Accuracy),
        ("gsm8k_flexible", 655, Metric::Accuracy),
        ("hellaswag", 0, Metric::Accuracy),
        ("ifeval", 0, Metric::Accuracy),
        ("mmlu", 0, Metric::Accuracy),
        ("piqa", 919, Metric::Accuracy),
        ("truthfulqa_mc1", 395, Metric::Accuracy),
        ("truthfulqa_mc2", 395, Metric::CorrectProbability),
        ("user_oriented", 126, Metric::Nll),
    ];
    let files = task_files("crates/eval/tasks");
    assert_eq!(files.len(), expected.len(), "{files:?}");
    for (path, (name, items, metric)) in files.iter().zip(expected) {
        assert_eq!(path.file_stem().unwrap(), name);
        if let Some(task) = load(path) {
            assert_eq!((task.name(), task.len(), task.metric()), (name, items, metric));
        }
    }
}

#[test]
fn tasks_of_the_project_read_its_own_data() {
    for path in task_files("fixtures/tasks") {
        assert!(load(&path).is_some(), "{} has no data", path.display());
    }
}
