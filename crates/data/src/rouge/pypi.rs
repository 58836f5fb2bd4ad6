//! PyPI `rouge` 1.0.1: `rouge-l`, the summary-level score over sets of words.

use super::text::Piece;

/// White space as Python's `str.split` knows it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The sentences between the full stops, in words. A sentence of white space alone is one empty word, as there.
pub(super) fn split<'t>(text: &'t str, mut found: impl FnMut(Piece<'t>)) {
    for sentence in text.split('.').filter(|sentence| !sentence.is_empty()) {
        let mut words = sentence.split(is_space).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() {
            found(Piece::Word(""));
        }
        words.for_each(|word| found(Piece::Word(word)));
        found(Piece::End);
    }
}

pub(super) fn f1(precision: f64, recall: f64) -> f64 {
    2.0 * ((precision * recall) / (precision + recall + 1e-8))
}
