//! Texts compared by their words: case, punctuation and white space do not count.

use std::collections::{HashMap, HashSet};

use lancer_backend::spaced;

/// Two texts are near-equal where this share of their words is the same, in any order.
const NEAR_EQUAL: f64 = 0.9;

/// A text of fewer words is not looked at for repetition.
const FEWEST_FOR_REPETITION: usize = 16;

/// A text in which less than this share of the sequences of three words is distinct repeats itself.
const DISTINCT_TRIGRAMS: f64 = 0.5;

/// The words of a text: runs of letters and digits, in lower case; in scripts without spaces their characters.
pub(crate) fn words(text: &str) -> Vec<String> {
    spaced(text)
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether two texts have nearly the same words: the Dice coefficient of their multisets of words is at least 0.9. Two
/// texts without words are compared character by character.
pub(crate) fn near_equal(one: &str, other: &str) -> bool {
    let (one_words, other_words) = (words(one), words(other));
    let total = one_words.len() + other_words.len();
    if total == 0 {
        return one.trim() == other.trim();
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &one_words {
        *counts.entry(word).or_default() += 1;
    }
    let mut shared = 0;
    for word in &other_words {
        if let Some(count) = counts.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    2.0 * f64::from(shared) / total as f64 >= NEAR_EQUAL
}

/// Whether a text says the same over and over: fewer than half of its sequences of three words are distinct. Texts of
/// fewer than 16 words never do.
pub(crate) fn repetitive(text: &str) -> bool {
    let words = words(text);
    if words.len() < FEWEST_FOR_REPETITION {
        return false;
    }
    let trigrams = words.len() - 2;
    let distinct: HashSet<&[String]> = words.windows(3).collect();
    (distinct.len() as f64) < DISTINCT_TRIGRAMS * trigrams as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{near_equal, repetitive, words};

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(words("It's 7 o'clock - Ünder\tway!"), ["it", "s", "7", "o", "clock", "ünder", "way"]);
    }

    #[test]
    fn one_word_in_five_makes_another_prompt() {
        assert!(!near_equal("Write a poem about cats", "Write a poem about dogs"));
        assert!(near_equal("Write a poem about cats!", "write a poem\nabout Cats"));
        assert!(!near_equal("", "words"));
        assert!(near_equal("?!", " ?!"));
        assert!(!near_equal("?!", "!"));
    }

    #[test]
    fn a_loop_is_repetitive_and_a_list_is_not() {
        assert!(repetitive(&"The cat is on the mat. ".repeat(10)));
        let list: Vec<String> = (0..30).map(|n| format!("{n}. Visit place number {n}")).collect();
        assert!(!repetitive(&list.join("\n")));
        assert!(!repetitive("no no no no no"));
    }

    proptest! {
        #[test]
        fn nearness_is_symmetric_and_every_text_is_near_itself(one in "[ab ]{0,30}", other in "[ab ]{0,30}") {
            prop_assert!(near_equal(&one, &one));
            prop_assert_eq!(near_equal(&one, &other), near_equal(&other, &one));
        }
    }
}
