//! PyPI `rouge-score` 0.1.2: `rougeL`.

use super::text::Piece;

/// Lower-case runs of ASCII letters and digits, all in one sentence.
pub(super) fn split(text: &str, mut found: impl FnMut(Piece<'_>)) {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.for_each(|word| found(Piece::Word(word)));
    found(Piece::End);
}

pub(super) fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}
