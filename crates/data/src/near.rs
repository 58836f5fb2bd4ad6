//! Near copies by ROUGE-L: every pair whose recall, precision or F1 is over a threshold.

mod index;

use rayon::prelude::*;

use crate::rouge::{Definition, RougeL};

pub(crate) use index::{NearIndex, score_over};

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

/// Every pair of a new text and one of the pool with recall, precision or F1 over `threshold` (0 to 1), by new text,
/// then by place in the pool.
///
/// The result is that of comparing all pairs, but only those are compared that have enough words in common.
pub fn near_copies<T: AsRef<str> + Sync>(
    definition: Definition,
    pool: &[T],
    new: &[T],
    threshold: f64,
) -> Vec<NearCopy> {
    let texts: Vec<&str> = pool.iter().chain(new).map(AsRef::as_ref).collect();
    let index = NearIndex::new(definition, threshold, &texts);
    (0..new.len())
        .into_par_iter()
        .flat_map_iter(|new| {
            let found = index.before(pool.len() + new, pool.len(), |_| true).into_iter();
            found.map(move |(pool, score)| NearCopy { new, pool, score })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bound_loses_no_pair(
            pool in prop::collection::vec("[abcd .]{0,24}", 0..12), new in prop::collection::vec("[abcd .]{0,24}", 0..12),
            // Round thresholds are those that scores hit exactly.
            threshold in prop_oneof![0.0_f64..1.0, (0..=20_u8).prop_map(|part| f64::from(part) / 20.0)],
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
