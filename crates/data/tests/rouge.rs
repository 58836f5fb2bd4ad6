//! ROUGE-L against the Python packages.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::PathBuf};

use lancer_data::rouge::{Definition, RougeL};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    hypothesis: String,
    reference: String,
    rouge: [f64; 3],
    rouge_score: [f64; 3],
}

fn assert_score(row: &Row, definition: Definition, [recall, precision, f1]: [f64; 3]) {
    let found = definition.score(&row.hypothesis, &row.reference);
    for (found, expected) in [(found.recall, recall), (found.precision, precision), (found.f1, f1)] {
        assert!(
            (found - expected).abs() < 1e-9,
            "{definition:?}: {found}, expected {expected}, for {:?} against {:?}",
            row.hypothesis,
            row.reference
        );
    }
}

#[test]
fn scores_are_those_of_the_python_packages() {
    // LANCER_ROUGE_PAIRS names a file of more pairs, in the layout of fixtures/rouge/pairs.json.
    let fixture = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rouge/pairs.json"));
    let path = std::env::var_os("LANCER_ROUGE_PAIRS").map_or(fixture, PathBuf::from);
    let rows: Vec<Row> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(rows.len() >= 600);
    for row in rows {
        assert_score(&row, Definition::Rouge, row.rouge);
        assert_score(&row, Definition::RougeScore, row.rouge_score);
    }
}

#[test]
fn a_text_without_words_has_a_score_of_0() {
    for definition in [Definition::Rouge, Definition::RougeScore] {
        for (hypothesis, reference) in [("", "a b"), ("a b", ""), ("", ""), ("...", "a")] {
            assert_eq!(definition.score(hypothesis, reference), RougeL::default(), "{definition:?}");
        }
    }
}

#[test]
fn a_long_sentence_is_no_deep_recursion() {
    let long = "word ".repeat(5000);
    let score = Definition::Rouge.score(&long, &long);
    assert!((score.recall - 1.0).abs() < 1e-9);
}
