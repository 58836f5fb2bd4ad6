//! Which queries go over which keys.

use std::{
    ops::{Deref, Range},
    sync::OnceLock,
};

use super::composed::Padded;

/// Some queries, and the keys over which they go. A query sees no keys that come after its own, and of those before as many
/// as the window has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Rows of the queries.
    pub(crate) queries: Range<usize>,
    /// Rows of the keys in their order. The last of them is the last query's.
    pub(crate) keys: Vec<Range<usize>>,
}

impl Reach {
    pub(super) fn rows(&self) -> usize {
        self.queries.len()
    }

    pub(super) fn keys(&self) -> usize {
        self.keys.iter().map(Range::len).sum()
    }
}

/// The reaches of a pass, whose queries are all rows in order, and what a device needs of them in every layer.
#[derive(Debug)]
pub(crate) struct Reaches {
    all: Vec<Reach>,
    padded: OnceLock<Padded>,
    /// Of layers with a sliding window: all windows of a model are of one size.
    windowed: OnceLock<Padded>,
}

impl Reaches {
    /// As tensors of the model's device, which are made once.
    pub(super) fn padded(&self, window: Option<usize>, make: impl FnOnce() -> Padded) -> &Padded {
        let kept = if window.is_none() { &self.padded } else { &self.windowed };
        kept.get_or_init(make)
    }
}

impl From<Vec<Reach>> for Reaches {
    fn from(all: Vec<Reach>) -> Self {
        Self { all, padded: OnceLock::new(), windowed: OnceLock::new() }
    }
}

impl Deref for Reaches {
    type Target = [Reach];

    fn deref(&self) -> &[Reach] {
        &self.all
    }
}
