//! Near-duplicates among long texts: `MinHash` (Broder 1997, "On the resemblance and containment of documents") with
//! locality-sensitive hashing (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3).
//!
//! The shingles of a text are its runs of some words. Two texts whose sets of shingles have the Jaccard similarity `s` land
//! in one bucket with the probability [`Bands::probability`]; texts that share a bucket, and those that they share one
//! with, are a cluster. Nothing is compared afterwards: that probability is all there is to say about a pair.

mod bands;
mod clusters;
mod join;
mod signature;
mod spill;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

pub use bands::Bands;
pub use clusters::{Clusters, Keep};
pub use join::{MinHashError, MinHashJoin};
pub use signature::MinHash;

use crate::SettingError;

/// What near-duplicates are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MinHashSettings {
    /// The Jaccard similarity at which texts begin to be near-duplicates; between 0 and 1, both left out.
    pub threshold: f64,
    /// Words in a shingle, at least 1. A text with fewer words is one shingle.
    pub shingle_words: usize,
    /// Numbers in a signature, at least 2. More of them make the step at the threshold steeper, and everything slower.
    pub permutations: usize,
    /// Decides the hash functions.
    pub seed: u64,
}

impl Default for MinHashSettings {
    fn default() -> Self {
        Self { threshold: 0.8, shingle_words: 5, permutations: 128, seed: 1 }
    }
}

impl MinHashSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let invalid = |setting, reason| Err(SettingError { setting, reason });
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            return invalid("threshold", format!("{} is not between 0 and 1", self.threshold));
        }
        if self.shingle_words == 0 {
            return invalid("shingle_words", "0 words are no shingle; give at least 1".into());
        }
        if !(2..=4096).contains(&self.permutations) {
            return invalid("permutations", format!("{} is not from 2 to 4096", self.permutations));
        }
        Ok(())
    }

    /// The bands that fit the threshold best.
    pub fn bands(&self) -> Bands {
        Bands::for_threshold(self.threshold, self.permutations)
    }
}
