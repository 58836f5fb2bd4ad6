//! PyPI `rouge` 1.0.1: `rouge-l`, the summary-level score over sets of words.

use std::collections::HashSet;

use super::{RougeL, lcs};

/// White space as Python's `str.split` knows it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The sentences between the full stops, in words. A sentence of white space alone is one empty word, as there.
pub(super) fn sentences(text: &str) -> Vec<Vec<String>> {
    text.split('.')
        .filter(|sentence| !sentence.is_empty())
        .map(|sentence| {
            let words: Vec<String> =
                sentence.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect();
            if words.is_empty() { vec![String::new()] } else { words }
        })
        .collect()
}

pub(super) fn score(hypothesis: &str, reference: &str) -> RougeL {
    let (hypothesis, reference) = (sentences(hypothesis), sentences(reference));
    if hypothesis.is_empty() || reference.is_empty() {
        return RougeL::default();
    }
    let distinct =
        |sentences: &[Vec<String>]| sentences.iter().flatten().collect::<HashSet<_>>().len() as f64;
    let (in_reference, in_hypothesis) = (distinct(&reference), distinct(&hypothesis));
    let mut union = HashSet::new();
    for reference in &reference {
        for hypothesis in &hypothesis {
            union.extend(lcs::subsequence(reference, hypothesis));
        }
    }
    let common = union.len() as f64;
    let (recall, precision) = (common / in_reference, common / in_hypothesis);
    RougeL { recall, precision, f1: 2.0 * ((precision * recall) / (precision + recall + 1e-8)) }
}
