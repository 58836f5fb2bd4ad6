//! Deterministic damage of a response: pairs that are known to be bad, without a model.

use std::fmt;

use lancer_backend::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to make a response bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// Another prompt's response, one of the nearest in length.
    Mismatched,
    /// The first half of its words. Half as long: what learns to avoid it learns to write more.
    FirstHalf,
    /// Its words in another order.
    Shuffled,
    /// The first third of its words, three times.
    Repeated,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mismatched, Self::FirstHalf, Self::Shuffled, Self::Repeated];
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Mismatched => "mismatched",
            Self::FirstHalf => "first half",
            Self::Shuffled => "shuffled",
            Self::Repeated => "repeated",
        })
    }
}

/// How many of the responses nearest in length a mismatched one is drawn from.
const NEAREST: usize = 5;

/// The damaged response; `None` where this damage would change nothing, such as the first half of one word.
///
/// `others` are the responses to other prompts, for [`Damage::Mismatched`]. The same arguments give the same text; `key`
/// is the pair's, so that each is damaged in its own way.
pub fn damage(kind: Damage, key: &str, response: &str, others: &[&str], seed: Seed) -> Option<String> {
    let words: Vec<&str> = response.split_whitespace().collect();
    if words.is_empty() {
        return None;
    }
    let seed = seed.derive(key);
    let damaged = match kind {
        Damage::Mismatched => mismatched(response, others, seed),
        Damage::FirstHalf => first_half(response, &words),
        Damage::Shuffled => shuffled(&words, seed),
        Damage::Repeated => Some(vec![words[..words.len().div_ceil(3)].join(" "); 3].join(" ")),
    };
    damaged.filter(|text| !text.split_whitespace().eq(words.iter().copied()))
}

fn mismatched(response: &str, others: &[&str], seed: Seed) -> Option<String> {
    let mut others: Vec<&str> = others
        .iter()
        .copied()
        .filter(|other| !other.trim().is_empty() && other.trim() != response.trim())
        .collect();
    let distance = |other: &str| other.len().abs_diff(response.len());
    // The text too, so that the order of `others` does not matter.
    others.sort_unstable_by_key(|&other| (distance(other), other));
    others.dedup();
    others.truncate(NEAREST);
    let chosen = (seed.derive("mismatched").0 % others.len().max(1) as u64) as usize;
    others.get(chosen).map(|&other| other.to_owned())
}

fn first_half(response: &str, words: &[&str]) -> Option<String> {
    let last = words.get(..words.len() / 2)?.last()?;
    // A word is a part of the response, so its end lies in it.
    let end = last.as_ptr() as usize + last.len() - response.as_ptr() as usize;
    Some(response[..end].trim_start().to_owned())
}

fn shuffled(words: &[&str], seed: Seed) -> Option<String> {
    let mut order = words.to_vec();
    // A short text may come out as it was; another try then.
    for attempt in 0..8 {
        for last in (1..order.len()).rev() {
            let draw = seed.derive(&format!("shuffled/{attempt}/{last}")).0;
            order.swap(last, (draw % (last as u64 + 1)) as usize);
        }
        if order != words {
            return Some(order.join(" "));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(kind: Damage, response: &str) -> Option<String> {
        damage(kind, "k", response, &["other", "a much longer other response"], Seed(1))
    }

    #[test]
    fn each_damage_is_what_it_says() {
        assert_eq!(of(Damage::FirstHalf, "one  two\nthree four five").unwrap(), "one  two");
        assert_eq!(of(Damage::Repeated, "one two three four").unwrap(), "one two one two one two");
        assert_eq!(of(Damage::Mismatched, "other").unwrap(), "a much longer other response");
        assert_eq!(of(Damage::Shuffled, "one two").unwrap(), "two one");
    }

    #[test]
    fn damage_that_would_change_nothing_is_none() {
        assert_eq!(of(Damage::FirstHalf, "word"), None);
        assert_eq!(of(Damage::Shuffled, "word"), None);
        assert_eq!(of(Damage::Shuffled, "no no no"), None);
        assert_eq!(of(Damage::Repeated, " "), None);
        assert_eq!(of(Damage::Repeated, "no no  no"), None);
        assert_eq!(damage(Damage::Mismatched, "k", "a", &["a", " "], Seed(1)), None);
    }

    #[test]
    fn a_mismatched_response_is_of_like_length() {
        let others: Vec<String> = (1..40).map(|length| "x".repeat(length * 10)).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        for key in ["a", "b", "c", "d"] {
            let length = damage(Damage::Mismatched, key, &"y".repeat(200), &others, Seed(3)).unwrap().len();
            assert!((180..=220).contains(&length), "{length}");
        }
    }

    proptest! {
        #[test]
        fn damage_changes_the_text_and_repeats(response in "[a-c üß\n]{0,40}", key in "[a-z]{1,3}", seed: u64) {
            for kind in Damage::ALL {
                let one = damage(kind, &key, &response, &["x y", "z"], Seed(seed));
                prop_assert_eq!(&one, &damage(kind, &key, &response, &["z", "x y"], Seed(seed)));
                if let Some(text) = one {
                    prop_assert_ne!(text.trim(), response.trim());
                    prop_assert!(!text.trim().is_empty());
                }
            }
        }

        #[test]
        fn shuffling_keeps_the_words(words in prop::collection::vec("[a-z]{1,4}", 2..20), seed: u64) {
            if let Some(text) = damage(Damage::Shuffled, "k", &words.join(" "), &[], Seed(seed)) {
                let mut left: Vec<&str> = text.split(' ').collect();
                let mut right: Vec<&str> = words.iter().map(String::as_str).collect();
                left.sort_unstable();
                right.sort_unstable();
                prop_assert_eq!(left, right);
            }
        }
    }
}
