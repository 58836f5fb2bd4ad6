//! The longest common subsequence, 64 places at a time (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
//!
//! A row of bits stands for one sentence of `n` words and the first `j` words of another: bit `i` is 0 where the longest
//! common subsequence grows with word `i`, so that there are as many zeros among the first `i` bits as words in common.

/// So often is looked whether enough words can still be common.
const WORDS_BETWEEN_CHECKS: usize = 16;

/// A sentence, by its words' places in the distinct words of its text, from 1.
pub(super) struct Sentence {
    length: usize,
    /// Numbers of 64 bits in a row.
    blocks: usize,
    /// By place of a word: a row that has a 1 wherever the sentence has the word.
    rows: Vec<u64>,
}

/// Rows that are reused from one sentence to the next.
#[derive(Default)]
pub(super) struct Table {
    bits: Vec<u64>,
}

impl Sentence {
    /// Of so many words, whose places are from 1 to `distinct`.
    pub(super) fn new(places: impl Iterator<Item = usize>, length: usize, distinct: usize) -> Self {
        let blocks = length.div_ceil(64);
        let mut rows = vec![0; (distinct + 1) * blocks];
        for (at, place) in places.enumerate() {
            rows[place * blocks + at / 64] |= 1 << (at % 64);
        }
        Self { length, blocks, rows }
    }

    /// Its number of words.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    fn row(&self, place: u32) -> &[u64] {
        &self.rows[place as usize * self.blocks..][..self.blocks]
    }

    /// The length of the longest common subsequence with `other`; less where it is below `least`.
    pub(super) fn longest(&self, other: &[u32], least: usize, table: &mut Table) -> usize {
        table.bits.clear();
        table.bits.resize(self.blocks, u64::MAX);
        for (at, words) in other.chunks(WORDS_BETWEEN_CHECKS).enumerate() {
            // Each word to come adds at most one.
            if zeros(&table.bits) + other.len() - at * WORDS_BETWEEN_CHECKS < least {
                return 0;
            }
            if let [bits] = table.bits.as_mut_slice() {
                for &place in words {
                    let both = *bits & self.rows[place as usize];
                    *bits = bits.wrapping_add(both) | (*bits - both);
                }
            } else {
                for &place in words {
                    advance(&mut table.bits, self.row(place));
                }
            }
        }
        zeros(&table.bits)
    }

    /// Hands the words of one of the longest common subsequences to `found`, last word first, each with its index in this
    /// sentence. Walking back from the ends, it steps back in `other` only where that keeps more than stepping back here.
    /// So does PyPI `rouge` with the hypothesis here, and `rouge-score` with the reference here.
    pub(super) fn subsequence(&self, other: &[u32], table: &mut Table, mut found: impl FnMut(usize, u32)) {
        let blocks = self.blocks;
        table.bits.clear();
        table.bits.resize(blocks, u64::MAX);
        for (at, &place) in other.iter().enumerate() {
            table.bits.extend_from_within(at * blocks..);
            advance(&mut table.bits[(at + 1) * blocks..], self.row(place));
        }
        let row = |j: usize| &table.bits[j * blocks..][..blocks];
        let (mut i, mut j) = (self.length, other.len());
        let mut common = zeros_before(row(j), i);
        // While there is something in common, there is something left of both.
        while common > 0 {
            let place = other[j - 1];
            if bit(self.row(place), i - 1) {
                found(i - 1, place);
                (i, j) = (i - 1, j - 1);
                common = zeros_before(row(j), i);
                continue;
            }
            let back_here = common - usize::from(!bit(row(j), i - 1));
            let back_there = zeros_before(row(j - 1), i);
            if back_there > back_here {
                (j, common) = (j - 1, back_there);
            } else {
                (i, common) = (i - 1, back_here);
            }
        }
    }
}

/// The next row, from the row before and that of the word.
fn advance(bits: &mut [u64], word: &[u64]) {
    let mut carry = false;
    for (bits, word) in bits.iter_mut().zip(word) {
        let both = *bits & word;
        let (sum, first) = bits.overflowing_add(both);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *bits = sum | (*bits & !word);
    }
}

/// Zeros in a row; bits past the sentence's end stay 1.
fn zeros(row: &[u64]) -> usize {
    row.iter().map(|bits| bits.count_zeros() as usize).sum()
}

fn zeros_before(row: &[u64], end: usize) -> usize {
    let whole = zeros(&row[..end / 64]);
    match end % 64 {
        0 => whole,
        rest => whole + (!row[end / 64] & ((1 << rest) - 1)).count_ones() as usize,
    }
}

fn bit(row: &[u64], at: usize) -> bool {
    row[at / 64] >> (at % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook's table, and the walk back through it.
    fn by_table(reference: &[u32], hypothesis: &[u32]) -> Vec<u32> {
        let width = hypothesis.len() + 1;
        let mut lengths = vec![0_u32; (reference.len() + 1) * width];
        for (i, a) in reference.iter().enumerate() {
            for (j, b) in hypothesis.iter().enumerate() {
                lengths[(i + 1) * width + j + 1] = if a == b {
                    lengths[i * width + j] + 1
                } else {
                    lengths[i * width + j + 1].max(lengths[(i + 1) * width + j])
                };
            }
        }
        let (mut i, mut j) = (reference.len(), hypothesis.len());
        let mut found = Vec::new();
        while i > 0 && j > 0 {
            if reference[i - 1] == hypothesis[j - 1] {
                found.push(reference[i - 1]);
                (i, j) = (i - 1, j - 1);
            } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        found
    }

    proptest! {
        #[test]
        fn the_bits_say_what_the_table_says(
            one in prop::collection::vec(1_u32..7, 0..200), two in prop::collection::vec(0_u32..7, 0..200),
        ) {
            let sentence = Sentence::new(one.iter().map(|&place| place as usize), one.len(), 6);
            let mut table = Table::default();
            let mut found = Vec::new();
            sentence.subsequence(&two, &mut table, |index, place| {
                assert_eq!(one[index], place);
                found.push(place);
            });
            prop_assert_eq!(found, by_table(&two, &one));
            let longest = by_table(&one, &two).len();
            prop_assert_eq!(sentence.longest(&two, 0, &mut table), longest);
            prop_assert_eq!(sentence.longest(&two, longest, &mut table), longest);
            prop_assert!(sentence.longest(&two, longest + 1, &mut table) <= longest);
        }
    }
}
