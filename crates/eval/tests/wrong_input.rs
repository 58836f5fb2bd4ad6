//! Task files and records that are wrong: the error names the file, the record, the field and what is allowed.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{error::Error, path::Path};

use lancer_eval::{EvalError, Task, TaskSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

const HEAD: &str = "name = 't'\ndata = 'd.jsonl'\n";
const PROMPT: &str = "[prompt]\nformat = 'text'\ntemplate = '{{ q }}'\n";
const CHOICES: &str = "[multiple_choice]\nchoices = { list = 'c' }\nlabel = 'l'\n";

fn parse(text: &str) -> Result<TaskSpec, EvalError> {
    TaskSpec::parse(text, Path::new("tasks/t.toml"))
}

/// The error and all its sources, as a user sees them.
fn message(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", message(source)),
        None => error.to_string(),
    }
}

#[test]
fn wrong_task_files() {
    let cases: &[(&str, &str)] = &[
        ("", "missing field `name`"),
        ("name = 't'\ndata = ", "line 2"),
        (
            &format!("{HEAD}{PROMPT}"),
            "exactly one of the sections [multiple_choice], [exact_match], [instruction_following] and [response_nll]",
        ),
        (&format!("{HEAD}{PROMPT}{CHOICES}[response_nll]\nresponse = 'r'"), "exactly one of the sections"),
        (&format!("{HEAD}limits = 3\n{PROMPT}{CHOICES}"), "unknown field `limits`, expected one of"),
        (&format!("{HEAD}limit = {{ first = 0 }}\n{PROMPT}{CHOICES}"), "at least 1"),
        (
            &format!("{HEAD}limit = {{ first = 1, sample = 2 }}\n{PROMPT}{CHOICES}"),
            "{ sample = n, seed = s } or { part = i, of = n }",
        ),
        (&format!("{HEAD}limit = {{ part = 3, of = 2 }}\n{PROMPT}{CHOICES}"), "from 1 to `of`"),
        (&format!("{HEAD}limit = {{ last = 1 }}\n{PROMPT}{CHOICES}"), "unknown field `last`"),
        (&format!("name = ' '\ndata = 'd'\n{PROMPT}{CHOICES}"), "name: empty"),
        (&format!("name = 't'\ndata = ''\n{PROMPT}{CHOICES}"), "data: empty"),
        (
            &format!("{HEAD}[prompt]\nformat = 'prose'\ntemplate = '{{{{ q }}}}'\n{CHOICES}"),
            "expected `text` or `chat`",
        ),
        (&format!("{HEAD}[prompt]\nformat = 'text'\ntemplate = 'q'\n{CHOICES}"), "uses no field"),
        (&format!("{HEAD}[prompt]\nformat = 'text'\ntemplate = '{{{{ q'\n{CHOICES}"), "syntax error"),
        (&format!("{HEAD}{PROMPT}{CHOICES}score = 'mean'"), "expected one of `sum`, `per_token`, `per_byte`"),
        (&format!("{HEAD}{PROMPT}{CHOICES}label_is = 'number'"), "expected one of `index`, `index_from_one`"),
        (
            &format!("{HEAD}{PROMPT}[multiple_choice]\nchoices = {{ list = 'c' }}"),
            "multiple_choice.label: missing",
        ),
        (
            &format!("{HEAD}{PROMPT}[multiple_choice]\nchoices = {{ fields = ['a'] }}\nlabel = 'l'"),
            "needs at least 2",
        ),
        (
            &format!("{HEAD}{PROMPT}[multiple_choice]\nchoices = {{ fixed = ['a', ''] }}\nlabel = 'l'"),
            "a choice is empty",
        ),
        (
            &format!("{HEAD}{PROMPT}[multiple_choice]\nchoices = {{ targets = 'a' }}\nlabel = 'l'"),
            "leave `label` out",
        ),
        (
            &format!("{HEAD}{PROMPT}[multiple_choice]\nchoices = 'c'\nlabel = 'l'"),
            "expected one of `list`, `fields`",
        ),
        (
            &format!("{HEAD}{PROMPT}[exact_match]\nanswer = 'a'\nextract = {{ first_match = '(' }}"),
            "unclosed group",
        ),
        (&format!("{HEAD}{PROMPT}[exact_match]\nanswer = 'a'\nmax_tokens = 0"), "1 to 65536"),
        (&format!("{HEAD}{PROMPT}[exact_match]\nanswer = 'a'\nstop = ['']"), "a stop string is empty"),
        (&format!("{HEAD}{PROMPT}[exact_match]\nanswer = 'a'\nnormalise = ['all']"), "`white_space`, `case`"),
        (
            &format!(
                "{HEAD}{PROMPT}[exact_match]\nanswer = 'a'\nsampling = {{ nucleus = {{ temperature = 0.0, top_p = 1.0 }} }}"
            ),
            "the temperature must be above 0",
        ),
    ];
    for &(text, expected) in cases {
        let message = message(&parse(text).unwrap_err());
        assert!(message.contains(expected), "{text}\n{message}");
        assert!(message.contains("tasks/t.toml"), "{message}");
    }
    let missing = TaskSpec::load(Path::new("no/such/task.toml")).unwrap_err();
    assert!(missing.to_string().contains("no/such/task.toml"));
}

fn task(kind: &str, records: &Value) -> Result<Task, EvalError> {
    Task::new(
        parse(&format!("{HEAD}{PROMPT}{kind}")).unwrap(),
        serde_json::from_value(records.clone()).unwrap(),
    )
}

#[test]
fn wrong_records() {
    let letters = format!("{CHOICES}label_is = 'letter'");
    let from_one = format!("{CHOICES}label_is = 'index_from_one'");
    let text = format!("{CHOICES}label_is = 'text'");
    let fields = "[multiple_choice]\nchoices = { fields = ['a', 'b'] }\nlabel = 'l'\n";
    let targets = "[multiple_choice]\nchoices = { targets = 'm' }\n";
    let exact = "[exact_match]\nanswer = 'a'\nanswer_extract = 'last_number'\n";
    let nll = "[response_nll]\nresponse = 'r.text'\n";
    let cases: &[(&str, Value, &str)] = &[
        (CHOICES, json!({"c": ["x", "y"], "l": 0}), "q: the record has no such field; it has `c`, `l`"),
        (
            CHOICES,
            json!({"q": " ", "c": ["x", "y"], "l": 0}),
            "prompt.template: the template gives an empty text",
        ),
        (CHOICES, json!({"l": 0, "q": "?"}), "c: the record has no such field; it has `l`, `q`"),
        (CHOICES, json!({"q": "?", "c": ["x"], "l": 0}), "c: 1 choices; a question needs at least 2"),
        (CHOICES, json!({"q": "?", "c": [], "l": 0}), "c: the list is empty"),
        (CHOICES, json!({"q": "?", "c": ["x", {}], "l": 0}), "c: expected a text, found an object"),
        (CHOICES, json!({"q": "?", "c": ["x", ""], "l": 0}), "c: the text is empty"),
        (CHOICES, json!({"q": "?", "c": ["x", "y"], "l": 2}), "l: found `2`, expected a number from 0 to 1"),
        (
            CHOICES,
            json!({"q": "?", "c": ["x", "y"], "l": -1}),
            "l: found `-1`, expected a number from 0 to 1",
        ),
        (CHOICES, json!({"q": "?", "c": ["x", "y"], "l": null}), "l: expected a text, found null"),
        (
            &from_one,
            json!({"q": "?", "c": ["x", "y"], "l": 0}),
            "l: found `0`, expected a number from 1 to 2",
        ),
        (&letters, json!({"q": "?", "c": ["x", "y"], "l": "C"}), "l: found `C`, expected a letter"),
        (&text, json!({"q": "?", "c": ["x", "y"], "l": "z"}), "expected one of the choices `x`, `y`"),
        (fields, json!({"q": "?", "a": "x", "l": 0}), "b: the record has no such field"),
        (targets, json!({"q": "?", "m": ["x"]}), "m: expected an object from choice to 0 or 1, found a list"),
        (targets, json!({"q": "?", "m": {"x": 2, "y": 0}}), "m: the choice `x` must have the value 0 or 1"),
        (targets, json!({"q": "?", "m": {"x": 0, "y": 0}}), "m: no choice is correct"),
        (targets, json!({"q": "?", "m": {"x": 1, "y": null}}), "m: 1 choices"),
        (exact, json!({"q": "?", "a": "none"}), "a: `answer_extract` of the task file finds no answer"),
        (nll, json!({"q": "?", "r": "x"}), "r.text: the record has no such field"),
        (nll, json!({"q": "?", "r": {"text": ""}}), "r.text: the text is empty"),
    ];
    let chat = PROMPT.replace("'text'", "'chat'");
    let spec = parse(&format!("{HEAD}{chat}{targets}")).unwrap();
    let empty = Task::new(spec, serde_json::from_value(json!([{"q": "?", "m": {"": 1, "y": 0}}])).unwrap());
    assert!(
        message(&empty.unwrap_err())
            .contains("m: a choice is empty; it can only be scored in the text format")
    );

    for (kind, record, expected) in cases {
        // A good record comes first where the kind has one, so that the number is not always the same.
        let good = json!({"q": "?", "c": ["x", "y"], "l": 1});
        let is_good = *kind == CHOICES;
        let records = if is_good { json!([good, record]) } else { json!([record]) };
        let message = message(&task(kind, &records).unwrap_err());
        assert!(message.contains(expected), "{record}\n{message}");
        let number = if is_good { 2 } else { 1 };
        assert!(message.starts_with(&format!("tasks/d.jsonl: record {number}: ")), "{message}");
    }
}

#[test]
fn data_without_records_to_evaluate() {
    assert!(matches!(task(CHOICES, &json!([])), Err(EvalError::NoItems { records: 0, .. })));
    let few_shot = format!("[few_shot]\nrecords = 1\n{CHOICES}");
    let one = json!([{"q": "?", "c": ["x", "y"], "l": 1}]);
    assert!(matches!(task(&few_shot, &one), Err(EvalError::NoItems { records: 1, held_back: 1, .. })));
    let example = format!("[few_shot]\nexamples = [{{ c = ['x'] }}]\n{CHOICES}");
    let message = message(&task(&example, &one).unwrap_err());
    assert!(message.starts_with("few_shot.examples: record 1: q:"), "{message}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_record_makes_a_task_panic(q in any_json(), c in any_json(), l in any_json()) {
        let record = json!([{"q": q, "c": c, "l": l, "m": c, "r": c, "a": c}]);
        for kind in [
            CHOICES,
            "[multiple_choice]\nchoices = { targets = 'm' }\n",
            "[multiple_choice]\nchoices = { fields = ['c', 'l'] }\nlabel = 'l'\nlabel_is = 'letter'\n",
            "[exact_match]\nanswer = 'a'\nanswer_extract = 'last_number'\nnormalise = ['number', 'articles']\n",
            "[response_nll]\nresponse = 'r'\n",
        ] {
            if let Ok(task) = task(kind, &record) {
                prop_assert_eq!(task.len(), 1);
            }
        }
    }

    #[test]
    fn no_text_makes_a_task_file_panic(text in "(\\PC|\n){0,200}") {
        prop_assert!(parse(&text).is_err());
    }
}
