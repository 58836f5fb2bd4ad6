//! Signatures.

use lancer_core::spaced;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Bands, MinHashSettings};
use crate::SettingError;

/// An odd number without a pattern: 2^64 over the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash functions of one setting.
#[derive(Debug, Clone)]
pub struct MinHash {
    settings: MinHashSettings,
    bands: Bands,
    /// Hash function `i` takes a shingle's hash `x` to `x factors[i] + summands[i]`, modulo 2^64.
    factors: Vec<u64>,
    summands: Vec<u64>,
}

impl MinHash {
    /// The hash functions that the settings describe.
    pub fn new(settings: MinHashSettings) -> Result<Self, SettingError> {
        settings.validate()?;
        let number = |place: u64| xxh3_64_with_seed(&place.to_le_bytes(), settings.seed);
        let count = settings.permutations as u64;
        Ok(Self {
            settings,
            bands: settings.bands(),
            factors: (0..count).map(|place| number(place) | 1).collect(),
            summands: (count..2 * count).map(number).collect(),
        })
    }

    /// How signatures are cut into bands.
    pub fn bands(&self) -> Bands {
        self.bands
    }

    /// A text's signature. The part of numbers in which two signatures are equal estimates the Jaccard similarity of the
    /// texts' shingles, with a standard error of at most `0.5 / sqrt(permutations)`.
    pub fn signature(&self, text: &str) -> Vec<u32> {
        let mut least = vec![u64::MAX; self.settings.permutations];
        for shingle in shingles(text, self.settings.shingle_words) {
            for ((least, factor), summand) in least.iter_mut().zip(&self.factors).zip(&self.summands) {
                *least = (*least).min(shingle.wrapping_mul(*factor).wrapping_add(*summand));
            }
        }
        // The upper half is the better one: the lowest bit of a product is that of the shingle.
        least.into_iter().map(|least| (least >> 32) as u32).collect()
    }

    /// A text's bucket in each band.
    pub(super) fn buckets(&self, text: &str) -> impl Iterator<Item = u64> {
        let signature = self.signature(text);
        let rows = self.bands.rows;
        (0..self.bands.count).map(move |band| {
            let rows = &signature[band * rows..][..rows];
            mixed(rows.iter().fold(ODD, |hash, &row| joined(hash, u64::from(row))))
        })
    }
}

/// The hash of every run of so many words. A shorter text is one run.
fn shingles(text: &str, words: usize) -> impl Iterator<Item = u64> {
    let hashes: Vec<u64> =
        spaced(text).split_whitespace().map(|word| xxh3_64_with_seed(word.as_bytes(), 0)).collect();
    let width = words.min(hashes.len());
    (0..if width == 0 { 0 } else { hashes.len() - width + 1 })
        .map(move |start| mixed(hashes[start..][..width].iter().fold(ODD, |hash, &word| joined(hash, word))))
}

fn joined(hash: u64, next: u64) -> u64 {
    (hash.rotate_left(23) ^ next).wrapping_mul(ODD)
}

/// Spreads every bit over all of them (the finaliser of `MurmurHash3`).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
