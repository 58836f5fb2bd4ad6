//! The prompts and choices that the task files of tasks/ give are those of lm-evaluation-harness's own task files
//! (`fixtures/eval/make_rendering.py`).

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod table;

use std::{fs, path::Path};

use lancer_backend::{Prompt, Seed};
use lancer_eval::{ItemDetail, ItemResult, Task, TaskSpec, evaluate};
use serde::Deserialize;
use serde_json::{Map, Value};
use table::Table;

#[derive(Deserialize)]
struct Case {
    task: String,
    records: Vec<Map<String, Value>>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    prompt: String,
    continuations: Vec<String>,
    correct: usize,
}

#[test]
fn prompts_and_choices_are_those_of_lm_evaluation_harness() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let fixture = fs::read_to_string(folder.join("fixtures/eval/rendering.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&fixture).unwrap();
    for case in cases {
        let file = folder.join("crates/eval/tasks").join(&case.task).with_extension("toml");
        let task = Task::new(TaskSpec::load(&file).unwrap(), case.records).unwrap();
        // All that it is asked to continue with is equally likely.
        let all = case.expected.iter().flat_map(|expected| &expected.continuations);
        let equal: Vec<(&str, &[f32])> = all.map(|text| (text.as_str(), &[-1.0][..])).collect();
        let mut engine = Table::new(&equal);
        let mut results: Vec<ItemResult> = Vec::new();
        let items: Vec<usize> = (0..task.len()).collect();
        evaluate(&mut engine, &task, &items, Seed(1), &mut results).unwrap();
        results.sort_by_key(|result| result.item);
        assert_eq!(results.len(), case.expected.len(), "{}", case.task);
        for ((request, result), expected) in engine.asked.iter().zip(&results).zip(&case.expected) {
            assert_eq!(request.prompt, Prompt::Text(expected.prompt.clone()), "{}", case.task);
            let continuations: Vec<&str> =
                request.continuations.iter().map(|continuation| continuation.text.as_str()).collect();
            assert_eq!(continuations, expected.continuations, "{}", case.task);
            let ItemDetail::MultipleChoice { correct, .. } = &result.detail else { panic!("{result:?}") };
            assert_eq!(correct, &[expected.correct], "{}", case.task);
        }
    }
}
