//! PyPI `rouge-score` 0.1.2: `rougeL`.

use super::{RougeL, lcs};

/// Lower-case runs of ASCII letters and digits.
pub(super) fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn score(hypothesis: &str, reference: &str) -> RougeL {
    let (hypothesis, reference) = (words(hypothesis), words(reference));
    if hypothesis.is_empty() || reference.is_empty() {
        return RougeL::default();
    }
    let common = lcs::length(&reference, &hypothesis) as f64;
    let (precision, recall) = (common / hypothesis.len() as f64, common / reference.len() as f64);
    let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    RougeL { recall, precision, f1 }
}
