//! PyPI `rouge-score` 0.1.2: `rougeL` and `rougeLsum`.

use std::borrow::Cow;

use super::{porter, text::Piece};

/// What counts as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sentences {
    /// The whole text.
    One,
    /// Each line that is not empty.
    Lines,
}

/// Whether words are stemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    AsTheyAre,
    /// Those of more than three letters.
    Stemmed,
}

/// Lower-case runs of ASCII letters and digits.
pub(super) fn split(text: &str, sentences: Sentences, words: Words, mut found: impl FnMut(Piece<'_>)) {
    let text = text.to_lowercase();
    let mut sentence = |text: &str| {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = match words {
                Words::Stemmed if word.len() > 3 => Cow::Owned(porter::stem(word)),
                _ => Cow::Borrowed(word),
            };
            found(Piece::Word(&word));
        }
        found(Piece::End);
    };
    match sentences {
        Sentences::One => sentence(&text),
        Sentences::Lines => text.split('\n').filter(|line| !line.is_empty()).for_each(sentence),
    }
}

pub(super) fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}
