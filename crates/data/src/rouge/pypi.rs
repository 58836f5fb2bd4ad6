//! PyPI `rouge` 1.0.1: `rouge-l`, the summary-level score over sets of words.

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

pub(super) fn f1(precision: f64, recall: f64) -> f64 {
    2.0 * ((precision * recall) / (precision + recall + 1e-8))
}
