//! Which memory can become large pages.

use std::ops::Range;

use procfs::{
    ProcResult,
    process::{MMPermissions, MMapPath, Process},
};

/// Addresses of memory of this program that it writes itself and shares with none.
pub(super) fn own_memory() -> ProcResult<Vec<Range<usize>>> {
    let own = MMPermissions::READ | MMPermissions::WRITE | MMPermissions::PRIVATE;
    let maps = Process::myself()?.maps()?;
    Ok(maps
        .into_iter()
        .filter(|map| map.perms == own && matches!(map.pathname, MMapPath::Anonymous | MMapPath::Heap))
        .map(|map| map.address.0 as usize..map.address.1 as usize)
        .collect())
}

/// The first addresses of the blocks of `size` bytes that begin at a multiple of it and lie within a range, which large pages
/// do.
pub(super) fn within(ranges: &[Range<usize>], size: usize) -> impl Iterator<Item = usize> {
    ranges.iter().flat_map(move |range| {
        let first = range.start.checked_next_multiple_of(size).unwrap_or(range.end);
        (first..range.end).step_by(size).filter(move |block| range.end - block >= size)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_all_that_lie_within(ranges in prop::collection::vec((0_usize..200, 0_usize..50), 0..5)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let found: Vec<usize> = within(&ranges, 8).collect();
            let inside = |range: &Range<usize>, block: usize| range.start <= block && block + 8 <= range.end;
            let expected: Vec<usize> = ranges
                .iter()
                .flat_map(|range| (0..300).step_by(8).filter(|&block| inside(range, block)))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_vector_is_own_memory() {
        let vector = vec![1_u8; 64 << 20];
        let range = vector.as_ptr_range();
        let (first, last) = (range.start.addr(), range.end.addr() - 1);
        let own = own_memory().unwrap();
        assert!(own.iter().any(|range| range.contains(&first) && range.contains(&last)));
        // Code is not.
        let code = own_memory as fn() -> _ as usize;
        assert!(!own.iter().any(|range| range.contains(&code)));
    }
}
