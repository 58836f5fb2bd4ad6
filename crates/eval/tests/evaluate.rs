//! Evaluation with engines whose answers are known.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![allow(clippy::float_cmp)] // Values that are exact in binary.

mod table;

use std::{collections::HashMap, ops::ControlFlow, path::Path};

use lancer_backend::{Backend, Ending, Finish, Message, Prompt, Seed, scripted::ScriptedBackend};
use lancer_eval::{EvalError, EvalSink, ItemDetail, ItemResult, Metric, Task, TaskSpec, evaluate};
use serde_json::{Value, json};
use table::Table;

fn task(text: &str, records: &Value) -> Task {
    let spec = TaskSpec::parse(&format!("name = 't'\ndata = 'd'\n{text}"), Path::new("t.toml")).unwrap();
    Task::new(spec, serde_json::from_value(records.clone()).unwrap()).unwrap()
}

fn run(engine: &mut dyn Backend, task: &Task) -> Vec<ItemResult> {
    let all: Vec<usize> = (0..task.len()).collect();
    let mut results: Vec<ItemResult> = Vec::new();
    evaluate(engine, task, &all, Seed(1), &mut results).unwrap();
    results.sort_by_key(|result| result.item);
    results
}

fn chosen(result: &ItemResult) -> usize {
    match &result.detail {
        ItemDetail::MultipleChoice { chosen, .. } => *chosen,
        other => panic!("{other:?}"),
    }
}

const TEXT: &str = "[prompt]\nformat = 'text'\ntemplate = 'Q: {{ q }}'\n";

#[test]
fn each_score_divides_by_its_own_length() {
    // `été` has 3 characters and 5 bytes. Sum: the first; a token: the second; a byte: the third; a character: the last.
    let mut engine = Table::new(&[
        (" a", &[-2.0]),
        (" bb", &[-1.25, -1.25, -1.0]),
        (" été", &[-3.2]),
        (" dddd", &[-2.0, -2.1]),
    ]);
    let per = |score: &str| {
        format!("{TEXT}[multiple_choice]\nchoices = {{ list = 'c' }}\nlabel = 'l'\nscore = '{score}'\n")
    };
    let records = json!([{"q": "?", "c": ["a", "bb", "été", "dddd"], "l": "2"}]);
    for (score, expected) in [("sum", 0), ("per_token", 1), ("per_byte", 2), ("per_character", 3)] {
        let results = run(&mut engine, &task(&per(score), &records));
        assert_eq!(chosen(&results[0]), expected, "{score}");
        assert_eq!(results[0].value, f64::from(u8::from(expected == 2)), "{score}");
        assert_eq!(results[0].weight, 1.0);
    }
}

#[test]
fn equal_scores_give_the_first_choice() {
    let mut engine = Table::new(&[(" x", &[-1.0]), (" y", &[-1.0])]);
    let text = format!(
        "{TEXT}[multiple_choice]\nchoices = {{ fixed = ['x', 'y'] }}\nlabel = 'l'\nlabel_is = 'text'"
    );
    let results = run(&mut engine, &task(&text, &json!([{"q": "?", "l": "x"}, {"q": "!", "l": "y"}])));
    assert_eq!(results.iter().map(|result| result.value).collect::<Vec<_>>(), [1.0, 0.0]);
}

#[test]
fn the_correct_choices_share_of_the_probability() {
    let logarithm = |probability: f32| vec![probability.ln()];
    let (a, b, c) = (logarithm(0.03), logarithm(0.01), logarithm(0.06));
    let mut engine = Table::new(&[(" a", &a), (" b", &b), (" c", &c)]);
    let text = format!("{TEXT}[multiple_choice]\nchoices = {{ targets = 'm' }}\nmeasure = 'probability'");
    let task = task(&text, &json!([{"q": "?", "m": {"a": 1, "b": true, "c": 0, "d": null}}]));
    assert_eq!(task.metric(), Metric::CorrectProbability);
    let results = run(&mut engine, &task);
    assert!((results[0].value - 0.4).abs() < 1e-6, "{results:?}");
    assert_eq!(chosen(&results[0]), 2);
}

#[test]
fn an_empty_choice_is_scored_by_the_delimiter() {
    let mut engine = Table::new(&[(" a", &[-2.0]), (" ", &[-1.0])]);
    let text = format!("{TEXT}[multiple_choice]\nchoices = {{ targets = 'm' }}\nscore = 'per_character'");
    let results = run(&mut engine, &task(&text, &json!([{"q": "?", "m": {"": 1, "a": 0}}])));
    assert_eq!(results[0].value, 1.0);
}

#[test]
fn improbable_choices_do_not_underflow() {
    let mut engine = Table::new(&[(" a", &[-3000.0]), (" b", &[-3000.0])]);
    let text = format!("{TEXT}[multiple_choice]\nchoices = {{ targets = 'm' }}\nmeasure = 'probability'");
    let results = run(&mut engine, &task(&text, &json!([{"q": "?", "m": {"a": 1, "b": 0}}])));
    assert!((results[0].value - 0.5).abs() < 1e-9);
}

#[test]
fn a_response_is_weighted_by_its_tokens() {
    let mut engine = Table::new(&[("long", &[-1.0, -2.0, -3.0]), ("short", &[-4.0])]);
    let text = "[prompt]\nformat = 'chat'\ntemplate = '{{ q }}'\nsystem = 'Be brief.'\n[response_nll]\nresponse = 'r'";
    let task = task(text, &json!([{"q": "one", "r": "long"}, {"q": "two", "r": "short"}]));
    let results = run(&mut engine, &task);
    assert_eq!(task.metric(), Metric::Nll);
    assert_eq!((results[0].value, results[0].weight), (2.0, 3.0));
    assert_eq!((results[1].value, results[1].weight), (4.0, 1.0));
    assert_eq!(results[0].detail, ItemDetail::ResponseNll { log_prob: -6.0, tokens: 3, bytes: 4 });
    let asked = &engine.asked[0];
    assert_eq!(asked.prompt, Prompt::chat(vec![Message::system("Be brief."), Message::user("one")]));
    assert_eq!(asked.continuations[0].ending, Ending::EndOfTurn);
}

#[test]
fn few_shot_examples_come_before_every_question() {
    let few_shot = r#"
        [few_shot]
        records = 1
        examples = [{ q = "first", c = ["x", "y"], l = 0 }]
        separator = "\n--\n"
    "#;
    let choice = "[multiple_choice]\nchoices = { list = 'c' }\nlabel = 'l'\n";
    let records = json!([
        {"q": "second", "c": ["x", "y"], "l": 1},
        {"q": "third", "c": ["x", "y"], "l": 1},
        {"q": "fourth", "c": ["x", "y"], "l": 1},
    ]);
    let mut engine = Table::new(&[(" x", &[-1.0]), (" y", &[-2.0]), ("x", &[-1.0]), ("y", &[-2.0])]);
    let text = task(&format!("{TEXT}{few_shot}{choice}"), &records);
    assert_eq!((text.len(), text.record(0), text.record(2)), (2, Some(2), None));
    run(&mut engine, &text);
    assert_eq!(engine.asked[0].prompt, Prompt::text("Q: first x\n--\nQ: second y\n--\nQ: third"));
    assert_eq!(engine.asked[0].continuations.len(), 2);

    let chat = TEXT.replace("'text'", "'chat'");
    engine.asked.clear();
    run(&mut engine, &task(&format!("{chat}{few_shot}{choice}"), &records));
    let turns = ["Q: first", "x", "Q: second", "y", "Q: third"];
    let turn = |(place, text): (usize, &&str)| match place % 2 {
        0 => Message::user(*text),
        _ => Message::assistant(*text),
    };
    assert_eq!(engine.asked[0].prompt, Prompt::chat(turns.iter().enumerate().map(turn).collect::<Vec<_>>()));
    assert_eq!(engine.asked[0].continuations[0].text, "x");
}

#[test]
fn a_limit_takes_the_first_or_a_sample_that_repeats() {
    let records: Vec<Value> = (0..50).map(|n| json!({"q": n, "r": "x"})).collect();
    let items = |limit: &str| {
        let task = task(&format!("limit = {limit}\n{TEXT}[response_nll]\nresponse = 'r'"), &json!(records));
        (0..task.len()).filter_map(|item| task.record(item)).collect::<Vec<_>>()
    };
    assert_eq!(items("{ first = 3 }"), [1, 2, 3]);
    assert_eq!(items("{ first = 99 }").len(), 50);
    let parts = [items("{ part = 1, of = 2 }"), items("{ part = 2, of = 2 }")];
    let mut all = parts.concat();
    all.sort_unstable();
    assert_eq!(all, items("{ first = 1000 }"));
    assert!(parts[0].len().abs_diff(parts[1].len()) <= 1);
    let sample = items("{ sample = 10, seed = 1 }");
    assert_eq!(sample, items("{ sample = 10, seed = 1 }"));
    assert_ne!(sample, items("{ sample = 10, seed = 2 }"));
    assert!(sample.len() == 10 && sample.is_sorted_by(|a, b| a < b) && sample != items("{ first = 10 }"));
}

const SUMS: &str = r#"
    [prompt]
    format = "text"
    template = "Q: {{ q }}\nA:"
    [exact_match]
    answer = "a"
"#;

#[test]
fn an_answer_is_found_in_what_the_model_writes() {
    let answer = |prompt: &str, _| match prompt {
        "Q: 2+2\nA:" => "It is 4. Q: and so on 5".into(),
        "Q: 1000+1\nA:" => "That makes 1,001.0".into(),
        "Q: 3\nA:" => "No number".to_string(),
        other => panic!("{other}"),
    };
    let text = format!("{SUMS}extract = 'last_number'\nnormalise = ['number']\nstop = ['Q:']\n");
    let records =
        json!([{"q": "2+2", "a": 4}, {"q": "1000+1", "a": ["a thousand", "1001"]}, {"q": "3", "a": "3"}]);
    let results = run(&mut ScriptedBackend::new(answer), &task(&text, &records));
    assert_eq!(results.iter().map(|result| result.value).collect::<Vec<_>>(), [1.0, 1.0, 0.0]);
    let ItemDetail::ExactMatch { text, answer, accepted, finish, .. } = &results[0].detail else { panic!() };
    assert_eq!((text.as_str(), answer.as_deref(), *finish), ("It is 4. ", Some("4"), Finish::Stop));
    assert_eq!(accepted, &["4"]);
    let ItemDetail::ExactMatch { answer: None, .. } = &results[2].detail else { panic!("{results:?}") };
}

#[test]
fn a_reference_answer_is_extracted_and_an_example_shows_all_of_it() {
    let text = format!("{SUMS}answer_extract = {{ first_match = '#### (.+)' }}\n[few_shot]\nrecords = 1\n");
    let records = json!([{"q": "2", "a": "One and one.\n#### 2"}, {"q": "3", "a": "Two and one.\n#### 3"}]);
    let results = run(
        &mut ScriptedBackend::new(|prompt, _| {
            assert_eq!(prompt, "Q: 2\nA: One and one.\n#### 2\n\nQ: 3\nA:");
            "3".into()
        }),
        &task(&text, &records),
    );
    assert_eq!(results[0].value, 1.0);
    let shown = text.replace("records = 1", "records = 1\nanswer = 'Of {{ q }}'");
    run(
        &mut ScriptedBackend::new(|prompt, _| {
            assert_eq!(prompt, "Q: 2\nA: Of 2\n\nQ: 3\nA:");
            "3".into()
        }),
        &task(&shown, &records),
    );
}

#[test]
fn a_sampled_answer_depends_on_the_seed_and_the_item_alone() {
    let text = format!("{SUMS}sampling = {{ nucleus = {{ temperature = 1.0, top_p = 1.0 }} }}\n");
    let records = json!([{"q": "a", "a": "1"}, {"q": "b", "a": "1"}, {"q": "c", "a": "1"}]);
    let task = task(&text, &records);
    let answers = |items: &[usize], seed| {
        let mut results: Vec<ItemResult> = Vec::new();
        let mut engine = ScriptedBackend::new(|_, seed: Seed| seed.0.to_string());
        evaluate(&mut engine, &task, items, Seed(seed), &mut results).unwrap();
        let text = |result: ItemResult| match result.detail {
            ItemDetail::ExactMatch { text, .. } => (result.item, text),
            other => panic!("{other:?}"),
        };
        results.into_iter().map(text).collect::<HashMap<_, _>>()
    };
    let all = answers(&[0, 1, 2], 1);
    assert_eq!(answers(&[2], 1)[&2], all[&2]);
    assert_ne!(all[&0], all[&1]);
    assert_ne!(answers(&[2], 2)[&2], all[&2]);
}

/// Takes so many results, then cancels.
struct Until(usize, Vec<ItemResult>, usize);

impl EvalSink for Until {
    fn evaluated(&mut self, result: ItemResult) -> ControlFlow<()> {
        self.1.push(result);
        if self.1.len() == self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.2 += tokens;
        ControlFlow::Continue(())
    }
}

#[test]
fn a_cancelled_evaluation_goes_on_with_what_is_missing() {
    let scored = task(
        &format!("{TEXT}[response_nll]\nresponse = 'r'"),
        &json!([{"q": "1", "r": "a"}, {"q": "2", "r": "b"}, {"q": "3", "r": "c"}]),
    );
    let generated = task(SUMS, &json!([{"q": "1", "a": "x"}, {"q": "2", "a": "y"}, {"q": "3", "a": "x"}]));
    for task in [scored, generated] {
        let mut engine = ScriptedBackend::new(|_, _| "x".into());
        let whole = run(&mut engine, &task);
        let mut sink = Until(2, Vec::new(), 0);
        let error = evaluate(&mut engine, &task, &[0, 1, 2], Seed(1), &mut sink).unwrap_err();
        assert!(matches!(error, EvalError::Cancelled), "{error}");
        assert!(sink.1.len() == 2 && sink.2 > 0);
        let missing: Vec<usize> =
            (0..3).filter(|item| sink.1.iter().all(|result| result.item != *item)).collect();
        let mut results = sink.1;
        evaluate(&mut engine, &task, &missing, Seed(1), &mut results).unwrap();
        results.sort_by_key(|result| result.item);
        assert_eq!(results, whole);
    }
}

#[test]
fn errors_name_the_item() {
    let text =
        format!("limit = {{ first = 3 }}\n{TEXT}[few_shot]\nrecords = 1\n[response_nll]\nresponse = 'r'");
    let records: Vec<Value> = (0..9).map(|n| json!({"q": n, "r": "x"})).collect();
    let task = task(&text, &json!(records));
    let mut sink: Vec<ItemResult> = Vec::new();
    let error = evaluate(&mut Table::default(), &task, &[0, 3], Seed(1), &mut sink).unwrap_err();
    assert_eq!(error.to_string(), "the task t has 3 items; there is no item 3");

    let mut short = Table { longest: Some(1), ..Table::default() };
    let error = evaluate(&mut short, &task, &[0, 2], Seed(1), &mut sink).unwrap_err();
    assert_eq!(error.to_string(), "the task t: item 2 (record 4 of d) cannot be evaluated");

    let mut diverged = Table::new(&[(" x", &[-1.0, f32::NAN])]);
    let error = evaluate(&mut diverged, &task, &[0, 1], Seed(1), &mut sink).unwrap_err();
    assert!(matches!(error, EvalError::NotFinite { item: 1, .. }), "{error}");
    assert!(sink.is_empty());
}

#[test]
fn results_survive_json() {
    let mut engine = Table::new(&[(" x", &[-1.5]), (" y", &[-1.0])]);
    let text = format!("{TEXT}[multiple_choice]\nchoices = {{ fixed = ['x', 'y'] }}\nlabel = 'l'");
    let results = run(&mut engine, &task(&text, &json!([{"q": "?", "l": 0}])));
    let written = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Vec<ItemResult>>(&written).unwrap(), results);
    assert!(written.contains(r#""kind":"multiple_choice","chosen":1,"correct":[0]"#), "{written}");
}
