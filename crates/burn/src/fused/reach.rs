//! Which queries go over which keys.

use std::{
    ops::{Deref, Range},
    sync::OnceLock,
};

use burn::tensor::{Device, Int, Tensor};

use super::paged::Block;
use crate::{card::Padded, numbers::indices};

/// Queries of one reach from which on products of matrices are faster than going over the keys for each query, on a card.
const FEW: usize = 32;

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
    pub(crate) fn rows(&self) -> usize {
        self.queries.len()
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.iter().map(Range::len).sum()
    }

    /// The same in pieces of so many queries at most, each with no keys after its last query's.
    pub(crate) fn pieces(&self, at_most: usize) -> impl Iterator<Item = Self> {
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

/// The reaches of a pass, whose queries are all rows in order, and what attention makes of them, which is the same in every layer.
#[derive(Debug)]
pub(crate) struct Reaches {
    all: Vec<Reach>,
    whole: Made,
    /// For layers with a sliding window: all windows of a model are of one size.
    windowed: Made,
}

/// What was made of reaches.
#[derive(Debug, Default)]
struct Made {
    padded: OnceLock<Padded>,
    blocks: OnceLock<Vec<Block>>,
    listed: OnceLock<Listed>,
}

/// Reaches of few queries as tensors: the rows of the keys, one reach after another; and for each query the place of the first
/// key there and how many it sees, `[2 · rows]`.
pub(crate) type Listed = [Tensor<1, Int>; 2];

impl Reaches {
    /// As tensors of the model's device, which are made once.
    pub(crate) fn padded(&self, window: Option<usize>, make: impl FnOnce() -> Padded) -> &Padded {
        self.made(window).padded.get_or_init(make)
    }

    /// Cut into blocks of so many queries at most, once.
    pub(crate) fn blocks(&self, window: Option<usize>, at_once: usize) -> &[Block] {
        self.made(window).blocks.get_or_init(|| Block::all(&self.all, at_once, window))
    }

    /// As lists, which are made once; `None` where a reach has many queries.
    pub(crate) fn listed(&self, window: Option<usize>, device: &Device) -> Option<Listed> {
        let are_few = self.all.iter().all(|reach| reach.rows() <= FEW);
        are_few.then(|| self.made(window).listed.get_or_init(|| list(&self.all, window, device)).clone())
    }

    fn made(&self, window: Option<usize>) -> &Made {
        if window.is_none() { &self.whole } else { &self.windowed }
    }
}

fn list(reaches: &[Reach], window: Option<usize>, device: &Device) -> Listed {
    let (mut keys, mut seen) = (Vec::new(), Vec::new());
    for reach in reaches {
        for query in 1..=reach.rows() {
            let known = reach.keys() - reach.rows() + query;
            let count = window.map_or(known, |window| known.min(window));
            seen.extend([keys.len() + known - count, count]);
        }
        keys.extend(reach.keys.iter().cloned().flatten());
    }
    [indices(keys, device), indices(seen, device)]
}

impl From<Vec<Reach>> for Reaches {
    fn from(all: Vec<Reach>) -> Self {
        Self { all, whole: Made::default(), windowed: Made::default() }
    }
}

impl Deref for Reaches {
    type Target = [Reach];

    fn deref(&self) -> &[Reach] {
        &self.all
    }
}
