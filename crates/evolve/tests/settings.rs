//! Settings out of their ranges are refused before a run begins, with the field, the value and what it may be.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_evolve::Recipe;
use toml::Value;

/// A numeric field, values below and above its range, and what the error says of the range.
const RANGES: &[(&str, &[&str], &str)] = &[
    ("seed", &["9223372036854775808", "18446744073709551615"], "9223372036854775807"),
    ("iterations", &["0", "10001"], "from 1 to 10000"),
    ("budget_tokens", &["0"], "from 1"),
    ("expand.sources", &["0"], "from 1"),
    ("expand.worse_over", &["-0.1", "10.1", "nan", "inf"], "from 0 to 10"),
    ("expand.worse_responses", &["1001"], "from 0 to 1000"),
    ("expand.prompts", &["1001"], "from 0 to 1000"),
    ("expand.responses", &["1001"], "from 0 to 1000"),
    ("review.samples", &["0", "101"], "from 1 to 100"),
    ("review.temperature", &["0.0", "-1.0", "10.5", "nan", "inf"], "above 0 and at most 10"),
    ("review.top_p", &["0.0", "-1.0", "1.5", "nan", "inf"], "above 0 and at most 1"),
    ("review.max_tokens", &["7", "1000001"], "from 8 to 1000000"),
    ("review.retries", &["101"], "at most 100"),
    ("review.calibration_seeds", &["3", "1000001"], "from 4 to 1000000"),
    ("review.trial_seeds", &["1", "1000001"], "from 2 to 1000000"),
    ("review.folds", &["1", "1001"], "from 2 to 1000"),
    ("generate.temperature", &["0.0", "-1.0", "5.5", "nan", "inf"], "above 0 and at most 5"),
    ("generate.top_k", &["1000001"], "at most 1000000"),
    ("generate.min_p", &["-0.1", "1.5", "nan", "inf"], "from 0 to 1"),
    ("generate.repetition_penalty", &["0.0", "-1.0", "11.0", "nan", "inf"], "above 0 and at most 10"),
    ("generate.presence_penalty", &["-2.5", "3.0", "nan"], "from -2 to 2"),
    ("generate.frequency_penalty", &["-2.5", "3.0", "nan"], "from -2 to 2"),
    ("generate.top_p", &["0.0", "-1.0", "1.5", "nan", "inf"], "above 0 and at most 1"),
    ("generate.max_prompt_tokens", &["0", "1000001"], "from 1 to 1000000"),
    ("generate.max_response_tokens", &["0", "1000001"], "from 1 to 1000000"),
    ("generate.examples", &["17"], "at most 16"),
    ("generate.max_example_chars", &["0", "1000001"], "from 1 to 1000000"),
    ("generate.worse_temperature", &["0.0", "-1.0", "5.5", "nan", "inf"], "above 0 and at most 5"),
    ("clean.min_prompt_words", &["1000001"], "from 0 to 1000000"),
    ("clean.min_response_words", &["1000001"], "from 0 to 1000000"),
    ("clean.max_response_words", &["0", "9", "1000001"], "from 10 to 1000000"),
    ("clean.threshold", &["-0.1", "1.1", "nan", "inf"], "between 0 and 1"),
    ("decontaminate.words", &["10001"], "from 0 to 10000"),
    ("decontaminate.shortest", &["0", "10001"], "from 1 to 10000"),
    ("annotate.sft_threshold", &["-0.1", "10.1", "nan", "inf"], "from 0 to 10"),
    ("annotate.pair_gap", &["0.0", "-1.0", "10.1", "nan", "inf"], "above 0 and at most 10"),
    ("annotate.length_tier", &["-0.1", "0.6", "nan", "inf"], "from 0 to 0.5"),
    ("annotate.max_pairs_per_prompt", &["0", "10001"], "from 1 to 10000"),
    ("annotate.review_examples", &["1000001"], "at most 1000000"),
    ("annotate.min_chars", &["1000001"], "at most 1000000"),
    ("merge.threshold", &["-0.1", "10.1", "nan", "inf"], "from 0 to 10"),
    ("evaluate.bootstrap.resamples", &["99", "1000001"], "100 to 1000000"),
    ("evaluate.bootstrap.confidence", &["0.0", "1.0", "-0.5", "2.0", "nan"], "above 0 and below 1"),
    ("evaluate.bootstrap.seed", &["18446744073709551615"], "9223372036854775807"),
];

/// What a recipe with this change says, where it is refused.
fn refused(change: &str) -> Option<String> {
    let changes = ["model=a.gguf", "seeds=a.jsonl", change].map(str::to_owned);
    let checked = Recipe::default().with(&changes).and_then(|recipe| recipe.validate());
    checked.err().map(|error| error.to_string())
}

/// The names of all numbers in a table.
fn numbers(table: &toml::Table, within: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let name = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        match value {
            Value::Table(inner) => numbers(inner, &name, found),
            Value::Integer(_) | Value::Float(_) => found.push(name),
            _ => {}
        }
    }
}

#[test]
fn every_number_has_a_range_and_what_is_outside_is_refused() {
    let mut all = Vec::new();
    numbers(&toml::from_str(&Recipe::default().to_toml()).unwrap(), "", &mut all);
    // The settings of training have a table of their own.
    all.retain(|name| !name.starts_with("sft.") && !name.starts_with("preference."));
    for name in &all {
        assert!(RANGES.iter().any(|(field, ..)| field == name), "no range of {name} is tested");
    }
    for &(field, values, range) in RANGES {
        // A number that begins with a minus has no place in a field that counts.
        let negative = if values.contains(&"nan") { None } else { Some("-1") };
        for value in values.iter().copied().chain(negative) {
            let error = refused(&format!("{field}={value}"));
            let error = error.unwrap_or_else(|| panic!("{field} = {value} is taken"));
            let name = field.rsplit('.').next().unwrap();
            assert!(error.contains(name), "{field} = {value}: {error}");
            assert!(error.to_lowercase().contains(&shown(value)), "{field} = {value}: {error}");
            // What does not fit into the field's type is refused while it is read.
            let is_read = value != "-1" && (value.parse::<i64>().is_ok() || value.parse::<u64>().is_err());
            assert!(!is_read || error.contains(range), "{field} = {value}: {error}");
        }
    }
    assert_eq!(refused("iterations=10"), None);
}

/// A value as messages show it.
fn shown(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.contains('.') => number.to_string().to_lowercase(),
        _ => value.to_lowercase(),
    }
}

#[test]
fn a_seed_that_run_toml_cannot_hold_is_refused() {
    let seed = lancer_backend::Seed(u64::MAX);
    let recipe = Recipe { model: "a.gguf".into(), seeds: "a.jsonl".into(), seed, ..Recipe::default() };
    let error = recipe.validate().unwrap_err().to_string();
    assert!(error.contains("seed is 18446744073709551615"), "{error}");
}

#[test]
fn a_path_that_run_toml_cannot_hold_is_refused() {
    #[cfg(unix)]
    {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let recipe = Recipe {
            model: OsStr::from_bytes(b"m\xff.gguf").into(),
            seeds: "a.jsonl".into(),
            ..Recipe::default()
        };
        let error = recipe.validate().unwrap_err().to_string();
        assert!(error.contains("model") && error.contains("UTF-8"), "{error}");
    }
}
