//! Bits for each text that tell most pairs with too few common words apart at once.
//!
//! A bit that another text lacks is at least one word that it lacks.

/// The words of a text as bits, a cache line of them.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Signature {
    bits: [u64; 7],
    length: u32,
}

/// The same in one number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Small(u64);

/// The bit of a word, of so many: words of the highest numbers, the most frequent ones, have a bit of their own, the others
/// share the rest.
fn bit(word: u32, distinct: usize, own: usize, bits: usize) -> usize {
    let from_last = distinct - 1 - word as usize;
    if from_last < own { from_last } else { own + from_last % (bits - own) }
}

impl Signature {
    /// Of the numbers of words, out of so many, the most frequent ones last.
    pub(super) fn new(words: &[u32], distinct: usize) -> Self {
        let mut bits = [0; 7];
        for &word in words {
            let bit = bit(word, distinct, 192, 448);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { bits, length: words.len() as u32 }
    }

    /// The number of words of which it was made.
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    /// No more words of `self` than this are in `other`.
    pub(super) fn most_common(&self, other: &Self) -> usize {
        let missing: u32 =
            self.bits.iter().zip(&other.bits).map(|(mine, theirs)| (mine & !theirs).count_ones()).sum();
        (self.length - missing) as usize
    }
}

impl Small {
    /// Of the numbers of words, out of so many, the most frequent ones last.
    pub(super) fn new(words: &[u32], distinct: usize) -> Self {
        Self(words.iter().fold(0, |bits, &word| bits | 1 << bit(word, distinct, 20, 64)))
    }

    /// No fewer words of `self` than this are missing in `other`.
    pub(super) fn missing(self, other: Self) -> usize {
        (self.0 & !other.0).count_ones() as usize
    }
}
