//! Attention spans: which queries attend to which keys.

use std::ops::Range;

/// Some queries, and the keys to which they attend. A query sees no key after its own, and as many keys before it as the window
/// has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionSpan {
    /// Rows of the queries.
    pub queries: Range<usize>,
    /// Rows of the keys in their order. The last of them is the last query's.
    pub keys: Vec<Range<usize>>,
}

impl AttentionSpan {
    /// Number of queries.
    pub fn rows(&self) -> usize {
        self.queries.len()
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.keys.iter().map(Range::len).sum()
    }

    /// The same span in pieces of at most so many queries; a piece has no keys after the one of its last query.
    pub fn pieces(&self, at_most: usize) -> impl Iterator<Item = Self> {
        self.queries.clone().step_by(at_most).map(move |first| {
            let queries = first..self.queries.end.min(first + at_most);
            let mut left = self.keys() - (self.queries.end - queries.end);
            let cut = |keys: &Range<usize>| {
                let count = keys.len().min(left);
                left -= count;
                keys.start..keys.start + count
            };
            Self { queries, keys: self.keys.iter().map(cut).filter(|keys| !keys.is_empty()).collect() }
        })
    }
}
