//! Gopher's measures of repetition.

use std::collections::{HashMap, HashSet};

use super::measure::part;

/// The part of the pieces between separators that are copies of earlier ones; empty ones are left out.
pub(super) fn pieces(text: &str, separator: &str) -> f64 {
    let pieces: Vec<&str> = text.split(separator).map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let distinct = pieces.iter().collect::<HashSet<_>>().len();
    part(pieces.len() - distinct, pieces.len())
}

pub(super) fn characters_in_repeated_lines(text: &str) -> f64 {
    let mut seen = HashSet::new();
    let (mut repeated, mut all) = (0, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let length = line.chars().count();
        all += length;
        repeated += if seen.insert(line) { 0 } else { length };
    }
    part(repeated, all)
}

/// The part of the words' characters in the most frequent run of so many words, which must be there twice.
pub(super) fn top_words(text: &str, count: usize) -> f64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut times: HashMap<&[&str], usize> = HashMap::new();
    for run in words.windows(count) {
        *times.entry(run).or_default() += 1;
    }
    let characters = |words: &[&str]| words.iter().map(|word| word.chars().count()).sum::<usize>();
    let most =
        times.iter().filter(|(_, times)| **times > 1).map(|(run, times)| times * characters(run)).max();
    // Runs that overlap are counted more than once, in Gopher too.
    part(most.unwrap_or(0), characters(&words)).min(1.0)
}

/// The part of the words' characters in runs of so many words that were there before; each character counts once.
pub(super) fn repeated_words(text: &str, count: usize) -> f64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut seen = HashSet::new();
    let mut repeated = vec![false; words.len()];
    for (place, run) in words.windows(count).enumerate() {
        if !seen.insert(run) {
            repeated[place..place + count].fill(true);
        }
    }
    let length = |word: &&str| word.chars().count();
    let in_runs =
        words.iter().zip(&repeated).filter(|(_, repeated)| **repeated).map(|(word, _)| length(word)).sum();
    part(in_runs, words.iter().map(length).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_measured() {
        for (found, expected) in [
            (pieces("a\nb\na\n\na", "\n"), 0.5),
            (pieces("a\nb\n\nc", "\n\n"), 0.0),
            (characters_in_repeated_lines("abc\nd\nabc"), 3.0 / 7.0),
            (top_words("a b a b c", 2), 0.8),
            (top_words("a b c d", 2), 0.0),
            (top_words("a a a a", 2), 1.0),
            (repeated_words("a b c d e x a b c d e", 5), 5.0 / 11.0),
            (repeated_words("a b", 5), 0.0),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        }
    }
}
