//! Near copies by ROUGE-L: every pair whose recall, precision or F1 is over a threshold.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::rouge::{Definition, RougeL};

/// A new text that is a near copy of one of the pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearCopy {
    /// Index of the new text.
    pub new: usize,
    /// Index of the text in the pool that it resembles.
    pub pool: usize,
    /// Of the new text, as the hypothesis, against the pool's, as the reference.
    pub score: RougeL,
}

/// Every pair of a new text and one of the pool with recall, precision or F1 over `threshold`, by new text, then by
/// place in the pool.
///
/// The result is that of comparing all pairs. Most are not compared: neither recall nor precision can be over the
/// threshold where too few words are common, and F1 never exceeds the larger of them.
pub fn near_copies<T: AsRef<str> + Sync>(
    definition: Definition,
    pool: &[T],
    new: &[T],
    threshold: f64,
) -> Vec<NearCopy> {
    let mut words = Words::default();
    let pool_words: Vec<Vec<u32>> = pool.iter().map(|text| words.of(definition, text.as_ref())).collect();
    let new_words: Vec<Vec<u32>> = new.iter().map(|text| words.of(definition, text.as_ref())).collect();
    new.par_iter()
        .enumerate()
        .flat_map_iter(|(place, text)| {
            let words = &new_words[place];
            pool.iter().zip(&pool_words).enumerate().filter_map(move |(other, (other_text, other_words))| {
                let shorter = words.len().min(other_words.len());
                if common(words, other_words) as f64 <= threshold * shorter as f64 {
                    return None;
                }
                let score = definition.score(text.as_ref(), other_text.as_ref());
                (score.recall > threshold || score.precision > threshold || score.f1 > threshold)
                    .then_some(NearCopy { new: place, pool: other, score })
            })
        })
        .collect()
}

/// Numbers for words.
#[derive(Default)]
struct Words(HashMap<String, u32>);

impl Words {
    /// The words that the definition counts, sorted; with repetitions where it counts them.
    fn of(&mut self, definition: Definition, text: &str) -> Vec<u32> {
        let mut words: Vec<u32> = definition
            .words(text)
            .into_iter()
            .map(|word| {
                let next = self.0.len() as u32;
                *self.0.entry(word).or_insert(next)
            })
            .collect();
        words.sort_unstable();
        if definition == Definition::Rouge {
            words.dedup();
        }
        words
    }
}

/// Number of common elements of two sorted lists, repetitions counted as often as they are in both.
fn common(one: &[u32], two: &[u32]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < one.len() && j < two.len() {
        match one[i].cmp(&two[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, count) = (i + 1, j + 1, count + 1);
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bound_loses_no_pair(
            pool in prop::collection::vec("[abcd .]{0,24}", 0..12), new in prop::collection::vec("[abcd .]{0,24}", 0..12),
            threshold in 0.0_f64..1.0,
        ) {
            for definition in [Definition::Rouge, Definition::RougeScore] {
                let mut all = Vec::new();
                for (place, text) in new.iter().enumerate() {
                    for (other, other_text) in pool.iter().enumerate() {
                        let score = definition.score(text, other_text);
                        if score.recall.max(score.precision).max(score.f1) > threshold {
                            all.push(NearCopy { new: place, pool: other, score });
                        }
                    }
                }
                prop_assert_eq!(near_copies(definition, &pool, &new, threshold), all);
            }
        }
    }
}
