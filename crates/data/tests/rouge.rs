//! ROUGE-L against the Python packages.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::BTreeMap, fs};

use lancer_data::rouge::{Definition, RougeL};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    hypothesis: String,
    reference: String,
    #[serde(flatten)]
    scores: BTreeMap<String, [f64; 3]>,
}

const ALL: [Definition; 5] = [
    Definition::Rouge,
    Definition::RougeScore,
    Definition::RougeScoreStemmed,
    Definition::RougeScoreSum,
    Definition::RougeScoreSumStemmed,
];

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
    // `cargo xtask bench data` compares 20,000 pairs of real text.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rouge/pairs.json");
    let rows: Vec<Row> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(rows.len() >= 600);
    for row in rows {
        for definition in ALL {
            let name = serde_json::to_value(definition).unwrap();
            assert_score(&row, definition, row.scores[name.as_str().unwrap()]);
        }
    }
}

#[test]
fn a_text_without_words_has_a_score_of_0() {
    for definition in ALL {
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
