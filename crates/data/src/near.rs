//! Near copies by ROUGE-L: every pair of texts whose score is over a threshold.

mod bound;
mod index;
mod postings;
mod signature;
mod words;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    SettingError,
    rouge::{Definition, RougeL},
};

pub(crate) use index::NearIndex;

/// When two texts are near copies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nearness {
    /// How ROUGE-L is computed.
    pub definition: Definition,
    /// Which part of the score counts.
    pub measure: Measure,
    /// It is a near copy where that part is over this; 0 to 1.
    pub threshold: f64,
}

/// The part of a score that is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The largest of recall, precision and F1, as in LANCE, but recall and precision between texts of comparable length only:
    /// one that is at most twice as long as the other. A word that is within a long text makes no copy.
    #[default]
    Any,
    /// The part of the earlier text that is in the new one.
    Recall,
    /// The part of the new text that is in the earlier one.
    Precision,
    /// Both at once: the texts are alike as a whole.
    F1,
}

/// Which earlier texts a new one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NearScope<'f> {
    /// The pool and all new ones before it.
    Global,
    /// Those of its family, as the reference implementation of LANCE does. A number each for the texts of the pool and
    /// for the new ones.
    Family {
        /// Of the pool's texts, in their order.
        pool: &'f [u32],
        /// Of the new texts, in their order.
        new: &'f [u32],
    },
}

/// A text that stands before a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Earlier {
    /// One of the pool, by its index there.
    Pool(usize),
    /// A new one, by its index among them.
    New(usize),
}

/// A new text that is a near copy of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearCopy {
    /// Index of the new text.
    pub new: usize,
    /// The text that it resembles.
    pub earlier: Earlier,
    /// Of the new text, as the hypothesis, against the earlier one, as the reference.
    pub score: RougeL,
}

/// Whether the longer of two texts has at most twice as many words as the shorter. Both parts of a score count the same common
/// words, once in each text.
fn is_comparable(score: RougeL) -> bool {
    let (less, more) = (score.recall.min(score.precision), score.recall.max(score.precision));
    2.0 * less >= more
}

impl Default for Nearness {
    /// LANCE's.
    fn default() -> Self {
        Self { definition: Definition::Rouge, measure: Measure::Any, threshold: 0.7 }
    }
}

impl Nearness {
    /// Checks the range of the threshold.
    pub fn validate(&self) -> Result<(), SettingError> {
        if (0.0..=1.0).contains(&self.threshold) {
            return Ok(());
        }
        Err(SettingError {
            setting: "threshold",
            reason: format!("{} is not between 0 and 1", self.threshold),
        })
    }

    /// Whether a score is one of near copies.
    pub fn holds(&self, score: RougeL) -> bool {
        let over = |part: f64| part > self.threshold;
        match self.measure {
            Measure::Any => {
                over(score.f1) || is_comparable(score) && (over(score.recall) || over(score.precision))
            }
            Measure::Recall => over(score.recall),
            Measure::Precision => over(score.precision),
            Measure::F1 => over(score.f1),
        }
    }
}

/// Every pair of a new text and an earlier one that are near copies, by new text, then the pool's in their order, then new
/// ones in theirs.
///
/// The result is that of comparing all pairs, but only those are compared that have enough words in common, on all cores.
///
/// ```
/// use lancer_data::{Earlier, Nearness, NearScope, near};
///
/// let pool = ["Name three kinds of bread."];
/// let new = ["Why is the sky blue?", "Name three kinds of bread, please.", "Why is the sky so blue?"];
/// let found = near(&pool, &new, &Nearness::default(), NearScope::Global);
/// let pairs: Vec<_> = found.iter().map(|copy| (copy.new, copy.earlier)).collect();
/// assert_eq!(pairs, [(1, Earlier::Pool(0)), (2, Earlier::New(0))]);
/// ```
///
/// # Panics
/// Where the families are not as many as the texts.
pub fn near<T: AsRef<str> + Sync>(
    pool: &[T],
    new: &[T],
    nearness: &Nearness,
    scope: NearScope<'_>,
) -> Vec<NearCopy> {
    let texts: Vec<&str> = pool.iter().chain(new).map(AsRef::as_ref).collect();
    let index = NearIndex::new(*nearness, &texts);
    let families = families(pool.len(), new.len(), scope);
    (0..new.len())
        .into_par_iter()
        .map_init(
            || index.search(),
            |search, place| {
                let text = pool.len() + place;
                let found = match &families {
                    None => search.before(text, text),
                    Some(families) => search.among(text, families.before(text)),
                };
                let earlier = |other: usize| match other.checked_sub(pool.len()) {
                    None => Earlier::Pool(other),
                    Some(new) => Earlier::New(new),
                };
                found
                    .into_iter()
                    .map(|(other, score)| NearCopy { new: place, earlier: earlier(other), score })
                    .collect::<Vec<_>>()
            },
        )
        .flatten_iter()
        .collect()
}

/// How many pairs [`near`] would find for each new text; for more pairs than memory has room for.
pub fn near_counts<T: AsRef<str> + Sync>(pool: &[T], new: &[T], nearness: &Nearness) -> Vec<usize> {
    let texts: Vec<&str> = pool.iter().chain(new).map(AsRef::as_ref).collect();
    let index = NearIndex::new(*nearness, &texts);
    (pool.len()..texts.len())
        .into_par_iter()
        .map_init(|| index.search(), |search, text| search.before(text, text).len())
        .collect()
}

/// Texts by their families.
struct Families<'f> {
    pool: &'f [u32],
    new: &'f [u32],
    /// By family: its texts, ascending.
    members: std::collections::HashMap<u32, Vec<usize>>,
}

fn families(pool: usize, new: usize, scope: NearScope<'_>) -> Option<Families<'_>> {
    let NearScope::Family { pool: of_pool, new: of_new } = scope else { return None };
    assert_eq!((of_pool.len(), of_new.len()), (pool, new), "every text needs a family");
    let mut members: std::collections::HashMap<u32, Vec<usize>> = std::collections::HashMap::new();
    for (text, &family) in of_pool.iter().chain(of_new).enumerate() {
        members.entry(family).or_default().push(text);
    }
    Some(Families { pool: of_pool, new: of_new, members })
}

impl Families<'_> {
    /// The texts of a new text's family that are before it.
    fn before(&self, text: usize) -> impl Iterator<Item = usize> {
        let family = self.new[text - self.pool.len()];
        let members = self.members.get(&family).map_or(&[][..], Vec::as_slice);
        members.iter().copied().take_while(move |&other| other < text)
    }
}

#[cfg(test)]
mod tests;
