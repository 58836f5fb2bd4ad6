//! A cache line of bits for each text that tells most pairs with too few common words apart at once.

/// Words of the highest numbers, the most frequent ones, have a bit of their own; the others share the rest.
const OWN: usize = 192;

const BITS: usize = 448;

/// The words of a text as bits.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Signature {
    bits: [u64; BITS / 64],
    length: u32,
}

impl Signature {
    /// Of the numbers of words, out of so many, the most frequent ones last.
    pub(super) fn new(words: &[u32], distinct: usize) -> Self {
        let mut bits = [0; BITS / 64];
        for &word in words {
            let from_last = distinct - 1 - word as usize;
            let bit = if from_last < OWN { from_last } else { OWN + from_last % (BITS - OWN) };
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { bits, length: words.len() as u32 }
    }

    /// The number of words of which the text was made.
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    /// No more words of `self` than this are in `other`.
    pub(super) fn most_common(&self, other: &Self) -> usize {
        let missing: u32 =
            self.bits.iter().zip(&other.bits).map(|(mine, theirs)| (mine & !theirs).count_ones()).sum();
        // A bit that the other lacks is at least one word that it lacks.
        (self.length - missing) as usize
    }
}
