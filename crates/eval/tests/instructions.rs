//! Verifiable instructions against lm-evaluation-harness's own judgements (`fixtures/eval/make_ifeval.py`).

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::path::Path;

use lancer_backend::{Seed, scripted::ScriptedBackend};
use lancer_eval::{EvalError, ItemDetail, ItemResult, Task, TaskSpec, evaluate};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Fixture {
    responses: Vec<String>,
    judged: Vec<Judged>,
}

#[derive(Deserialize)]
struct Judged {
    instruction: String,
    arguments: Value,
    strict: String,
    loose: String,
}

fn task(settings: &str, records: &Value) -> Result<Task, EvalError> {
    let text = format!(
        "name = 't'\ndata = 'd'\n[prompt]\nformat = 'text'\ntemplate = '{{{{ prompt }}}}'\n\
         [instruction_following]\n{settings}"
    );
    let spec = TaskSpec::parse(&text, Path::new("t.toml")).unwrap();
    Task::new(spec, serde_json::from_value(records.clone()).unwrap())
}

/// The results of the items, each answered by its own prompt.
fn echoed(task: &Task) -> Vec<ItemResult> {
    let mut echo = ScriptedBackend::new(|prompt: &str, _seed| prompt.to_owned());
    let mut results: Vec<ItemResult> = Vec::new();
    let items: Vec<usize> = (0..task.len()).collect();
    evaluate(&mut echo, task, &items, Seed(1), &mut results).unwrap();
    results.sort_by_key(|result| result.item);
    results
}

#[test]
fn judgements_are_those_of_lm_evaluation_harness() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval/ifeval.json");
    let fixture: Fixture = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let responses: Vec<&String> = fixture.responses.iter().collect();
    let mut wrong = Vec::new();
    for judged in &fixture.judged {
        // A prompt is not empty; what has only white space follows nothing.
        let asked: Vec<usize> =
            (0..responses.len()).filter(|&place| !responses[place].trim().is_empty()).collect();
        let records: Vec<Value> = asked
            .iter()
            .map(|&place| {
                json!({
                    "prompt": responses[place],
                    "instruction_id_list": [judged.instruction],
                    "kwargs": [judged.arguments],
                })
            })
            .collect();
        let results = echoed(&task("", &records.into()).unwrap());
        for (&place, result) in asked.iter().zip(&results) {
            let ItemDetail::InstructionFollowing { text, instructions, .. } = &result.detail else {
                panic!()
            };
            assert_eq!(text, responses[place]);
            let found = (instructions[0].strict, instructions[0].loose);
            let bit = |bits: &str| bits.as_bytes()[place] == b'1';
            let expected = (bit(&judged.strict), bit(&judged.loose));
            if found != expected {
                wrong.push(format!(
                    "{} {}: {:?}: {found:?}, expected {expected:?}",
                    judged.instruction, judged.arguments, responses[place]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_measure_counts_its_own_way() {
    let records = json!([{
        "prompt": "Sure, a *word*\nno comma here",
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation", "detectable_format:title"],
        "kwargs": [{}, {"unused": null}, null],
    }]);
    for (measure, value, weight) in [
        ("prompt_strict", 0.0, 1.0),
        ("prompt_loose", 0.0, 1.0),
        ("instruction_strict", 0.0, 3.0),
        ("instruction_loose", 1.0 / 3.0, 3.0),
    ] {
        let results = echoed(&task(&format!("measure = '{measure}'"), &records).unwrap());
        assert_eq!(results[0].weighted(), (value, weight), "{measure}");
    }
}

#[test]
fn what_cannot_be_checked_is_refused_with_a_reason() {
    let refused = |instruction: &str, arguments: &Value| {
        let records = json!([{"prompt": "a", "instruction_id_list": [instruction], "kwargs": arguments}]);
        task("", &records).unwrap_err().to_string()
    };
    for (instruction, arguments, expected) in [
        ("language:response_language", json!([{"language": "fi"}]), "needs a language detector"),
        ("length_constraints:number_sentences", json!([{}]), "needs a trained sentence splitter"),
        ("length_constraints:number_verses", json!([{}]), "is not one of IFEval's"),
        (
            "keywords:existence",
            json!([{"keywords": []}]),
            "keywords: the instruction `keywords:existence` needs",
        ),
        ("keywords:existence", json!([{"keywords": ["("]}]), "unclosed group"),
        ("keywords:letter_frequency", json!([{"letter": "ab"}]), "one letter"),
        ("detectable_format:title", json!([]), "expected a list of 1 objects"),
        (
            "length_constraints:number_words",
            json!([{"num_words": 3, "relation": "more than"}]),
            "`less than` or `at least`",
        ),
    ] {
        let error = refused(instruction, &arguments);
        assert!(error.contains(expected), "{error}");
    }
}
