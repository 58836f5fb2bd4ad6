//! The longest common subsequence.

use std::{collections::HashMap, hash::Hash};

/// Its length, 64 places of `one` at a time (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
pub(super) fn length<T: Eq + Hash>(one: &[T], two: &[T]) -> usize {
    let words = one.len().div_ceil(64);
    let mut places: HashMap<&T, Vec<u64>> = HashMap::new();
    for (place, item) in one.iter().enumerate() {
        places.entry(item).or_insert_with(|| vec![0; words])[place / 64] |= 1 << (place % 64);
    }
    let mut row = vec![u64::MAX; words];
    for matches in two.iter().filter_map(|item| places.get(item)) {
        let mut carry = false;
        for (bits, matches) in row.iter_mut().zip(matches) {
            let both = *bits & matches;
            let (sum, first) = bits.overflowing_add(both);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *bits = sum | (*bits & !matches);
        }
    }
    let zeros: u32 = row.iter().map(|bits| bits.count_zeros()).sum();
    zeros as usize
}

/// One of the longest common subsequences, last item first: the one that PyPI `rouge` finds. Walking back from the ends,
/// it steps back in `one` only where that keeps more than stepping back in `two`.
pub(super) fn subsequence<'a, T: Eq>(one: &'a [T], two: &[T]) -> Vec<&'a T> {
    let width = two.len() + 1;
    let mut lengths = vec![0_u32; (one.len() + 1) * width];
    for (i, a) in one.iter().enumerate() {
        for (j, b) in two.iter().enumerate() {
            lengths[(i + 1) * width + j + 1] = if a == b {
                lengths[i * width + j] + 1
            } else {
                lengths[i * width + j + 1].max(lengths[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j) = (one.len(), two.len());
    let mut found = Vec::new();
    while i > 0 && j > 0 {
        if one[i - 1] == two[j - 1] {
            found.push(&one[i - 1]);
            (i, j) = (i - 1, j - 1);
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_fast_length_is_that_of_the_table(
            one in prop::collection::vec(0_u8..6, 0..200), two in prop::collection::vec(0_u8..6, 0..200),
        ) {
            prop_assert_eq!(length(&one, &two), subsequence(&one, &two).len());
        }
    }
}
