//! Fixed groups of work: what is asked of an engine in one call, and is in the ledger whole or not at all.
//!
//! An engine's rounding depends on what else it computes in the same steps. So groups are cut by place, never by what is
//! missing, and a group that lacks a row is done again whole: a resumed run asks its engine what one that was never stopped
//! asks it, and gets the same numbers to the last bit.

use std::ops::Range;

/// Work that is cut into groups.
pub(crate) struct Groups {
    size: usize,
    /// Rows that each piece of work gives.
    rows: usize,
    /// Whether each piece of work has all its rows, in groups.
    is_done: Vec<bool>,
    total: usize,
}

impl Groups {
    /// `total` pieces of work in groups of `size`, at least one; `has_rows` says whether a piece has all its rows, of which each
    /// piece gives `rows`.
    pub(crate) fn new(total: usize, size: usize, rows: usize, has_rows: impl Fn(usize) -> bool) -> Self {
        let size = size.max(1);
        let groups = (0..total).step_by(size).map(|first| first..total.min(first + size));
        let is_done = groups.map(|mut group| group.all(&has_rows)).collect();
        Self { size, rows, is_done, total }
    }

    /// Rows of all groups.
    pub(crate) fn total(&self) -> usize {
        self.total * self.rows
    }

    /// Rows of groups that are whole.
    pub(crate) fn done(&self) -> usize {
        self.total() - self.missing().map(|group| self.rows_of(&group)).sum::<usize>()
    }

    /// The groups that are to be done, as places of their pieces.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let group = |place: usize| place * self.size..self.total.min((place + 1) * self.size);
        (0..self.is_done.len()).filter(|&place| !self.is_done[place]).map(group)
    }

    /// Rows that a group gives.
    pub(crate) fn rows_of(&self, group: &Range<usize>) -> usize {
        group.len() * self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn a_group_that_lacks_a_row_is_done_whole() {
        let groups = Groups::new(10, 4, 2, |place| ![5, 9].contains(&place));
        assert_eq!(groups.missing().collect::<Vec<_>>(), [4..8, 8..10]);
        assert_eq!((groups.done(), groups.total()), (8, 20));
        assert_eq!(groups.rows_of(&(8..10)), 4);
    }

    #[test]
    fn where_all_rows_are_there_nothing_is_done() {
        assert_eq!(Groups::new(10, 4, 1, |_| true).missing().count(), 0);
        assert_eq!(Groups::new(0, 4, 1, |_| false).missing().count(), 0);
        let none = Groups::new(3, 4, 0, |_| true);
        assert_eq!((none.missing().count(), none.done(), none.total()), (0, 0, 0));
    }
}
