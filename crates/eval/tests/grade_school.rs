//! The answers that `tasks/gsm8k.toml` and `gsm8k_flexible.toml` find in what a model wrote are those of
//! lm-evaluation-harness (`fixtures/eval/make_lm_eval.py`).

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::BTreeMap, fs, path::Path};

use lancer_backend::{Seed, scripted::ScriptedBackend};
use lancer_eval::{ItemDetail, ItemResult, Task, TaskSpec, evaluate};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the model wrote for an item, and the answers found in it.
#[derive(Deserialize)]
struct Expected {
    text: String,
    #[serde(rename = "strict-match")]
    strict: Option<String>,
    #[serde(rename = "flexible-extract")]
    flexible: Option<String>,
}

#[test]
fn answers_are_those_of_lm_evaluation_harness() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let fixture = fs::read_to_string(root.join("fixtures/eval/lm_eval.json")).unwrap();
    let mut fixture: BTreeMap<String, Value> = serde_json::from_str(&fixture).unwrap();
    let expected: Vec<Expected> = serde_json::from_value(fixture.remove("gsm8k").unwrap()).unwrap();
    // Five examples, and a question for each text.
    let records: Vec<Value> = (0..5 + expected.len())
        .map(|place| json!({"question": place, "answer": "So it is 1. #### 1"}))
        .collect();
    for (name, answer) in [
        ("gsm8k", (|expected| &expected.strict) as fn(&Expected) -> &Option<String>),
        ("gsm8k_flexible", |expected| &expected.flexible),
    ] {
        let path = root.join("crates/eval/tasks").join(name).with_extension("toml");
        // A token of the scripted engine is shorter than one of the model that wrote the texts.
        let source = fs::read_to_string(&path).unwrap().replace("max_tokens = 256", "max_tokens = 4096");
        let spec = TaskSpec::parse(&source, &path).unwrap();
        let task = Task::new(spec, serde_json::from_value(records.clone().into()).unwrap()).unwrap();
        let texts: Vec<String> = expected.iter().map(|expected| expected.text.clone()).collect();
        let mut model = ScriptedBackend::new(move |prompt: &str, _seed| {
            let question = prompt.rsplit("Question: ").next().unwrap().trim_end_matches("\nAnswer:");
            let place: usize = question.parse().unwrap();
            texts[place - 5].clone()
        });
        let mut results: Vec<ItemResult> = Vec::new();
        evaluate(&mut model, &task, &(0..task.len()).collect::<Vec<_>>(), Seed(1), &mut results).unwrap();
        for result in &results {
            let ItemDetail::ExactMatch { text, answer: found, .. } = &result.detail else {
                panic!("{result:?}")
            };
            assert_eq!(found, answer(&expected[result.item]), "{name}: {text}");
        }
    }
}
