//! The KV cache: keys and values of all that is being read, in pages.
//!
//! A sequence is a list of pages, and sequences that begin alike share them (Kwon et al. 2023, arXiv 2309.06180). Nothing
//! is copied where a sample goes on from a prompt, and nothing but its own row is written with each token.

mod keys_values;

use std::{
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};

use burn::tensor::{Device, Int, Tensor};
use lancer_kernels::attention::PAGE;
use lancer_model::Config;

use self::keys_values::KeysValues;
use super::Layout;
use crate::{Weights, fused::AttentionShape, numbers::indices};

/// Pages that a cache begins with.
const PAGES: usize = 16;

/// Keys and values of all sequences.
pub(crate) struct Cache {
    layers: Vec<KeysValues>,
    pages: Vec<Page>,
}

struct Page {
    /// Held by the sequences that use it.
    held: Arc<()>,
    /// Tokens written.
    filled: usize,
}

/// The tokens of a sequence in a [`Cache`], which keeps them as long as a clone of this is there. A clone goes on by itself.
#[derive(Clone, Default)]
pub(crate) struct Sequence {
    parts: Vec<Part>,
    length: usize,
}

/// The first tokens of a page, at least one.
#[derive(Clone)]
struct Part {
    page: usize,
    length: usize,
    _held: Arc<()>,
}

/// Where rows of a pass stand in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Rows of the pass.
    pub(crate) rows: Range<usize>,
    /// The cache's row of the first of them.
    pub(crate) start: usize,
}

/// The places of a pass, which have all its rows in their order.
#[derive(Debug)]
pub(crate) struct Places {
    all: Vec<Place>,
    cache_rows: OnceLock<Tensor<1, Int>>,
}

impl Places {
    /// The cache's row of each of the pass as a tensor of the model's device, which is made once.
    fn cache_rows(&self, device: &Device) -> Tensor<1, Int> {
        let rows = || self.all.iter().flat_map(|place| place.start..place.start + place.rows.len());
        self.cache_rows.get_or_init(|| indices(rows(), device)).clone()
    }
}

impl From<Vec<Place>> for Places {
    fn from(all: Vec<Place>) -> Self {
        Self { all, cache_rows: OnceLock::new() }
    }
}

impl Deref for Places {
    type Target = [Place];

    fn deref(&self) -> &[Place] {
        &self.all
    }
}

impl Sequence {
    /// Number of tokens.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The first `length` tokens, of which there are at least so many.
    pub(crate) fn beginning(&self, length: usize) -> Self {
        let mut beginning = Self { parts: Vec::new(), length };
        let mut left = length;
        for part in &self.parts {
            if left == 0 {
                break;
            }
            let length = part.length.min(left);
            beginning.parts.push(Part { length, ..part.clone() });
            left -= length;
        }
        beginning
    }

    /// The cache's rows of its tokens, in their order.
    pub(crate) fn rows(&self) -> Vec<Range<usize>> {
        let mut rows: Vec<Range<usize>> = Vec::new();
        for part in &self.parts {
            let start = part.page * PAGE;
            match rows.last_mut() {
                Some(last) if last.end == start => last.end += part.length,
                _ => rows.push(start..start + part.length),
            }
        }
        rows
    }
}

impl Cache {
    /// A cache for a model, whose weights are such numbers.
    pub(crate) fn new(config: &Config, weights: Weights) -> Self {
        let of_layer = |_| KeysValues::new(config, weights);
        Self { layers: (0..config.layers).map(of_layer).collect(), pages: Vec::new() }
    }

    /// Makes room for tokens at the end of a sequence; `rows` are those of the pass that will read them.
    pub(crate) fn extend(&mut self, sequence: &mut Sequence, rows: Range<usize>) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut next = rows.start;
        while next < rows.end {
            let (page, filled) = self.page_to_write(sequence);
            let count = (PAGE - filled).min(rows.end - next);
            let start = page * PAGE + filled;
            match places.last_mut() {
                Some(last) if last.start + last.rows.len() == start => last.rows.end += count,
                _ => places.push(Place { rows: next..next + count, start }),
            }
            self.pages[page].filled += count;
            sequence.length += count;
            // The page to write is the last one's.
            if let Some(last) = sequence.parts.last_mut() {
                last.length += count;
            }
            next += count;
        }
        places
    }

    /// The last page of a sequence, after which another is taken where it is full or others have gone on in it, and the tokens
    /// in it.
    fn page_to_write(&mut self, sequence: &mut Sequence) -> (usize, usize) {
        if let Some(last) = sequence.parts.last()
            && last.length < PAGE
            && last.length == self.pages[last.page].filled
        {
            return (last.page, last.length);
        }
        let is_free = |page: &Page| Arc::strong_count(&page.held) == 1;
        let page = self.pages.iter().position(is_free).unwrap_or_else(|| {
            let (known, all) = (self.pages.len(), (self.pages.len() * 2).max(PAGES));
            self.pages.resize_with(all, || Page { held: Arc::new(()), filled: 0 });
            known
        });
        self.pages[page].filled = 0;
        sequence.parts.push(Part { page, length: 0, _held: self.pages[page].held.clone() });
        (page, 0)
    }

    /// The attention of a pass in a layer: `query: [rows, heads · head_dim]` over the sequences' keys and values, after those of the
    /// pass, `[rows, kv_heads · head_dim]`, are written to their places.
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        query_key_value: [Tensor<2>; 3],
        shape: AttentionShape,
        layout: &Layout,
    ) -> Tensor<2> {
        let (pages, Layout { places, spans, .. }) = (self.pages.len(), layout);
        self.layers[layer].attend(query_key_value, pages, places, shape, spans)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "rows are lists of ranges, of one too")]

    use super::*;

    fn cache() -> Cache {
        Cache { layers: Vec::new(), pages: Vec::new() }
    }

    #[test]
    fn samples_share_their_prompt_and_write_by_themselves() {
        let mut cache = cache();
        let mut prompt = Sequence::default();
        assert_eq!(cache.extend(&mut prompt, 0..70), [Place { rows: 0..70, start: 0 }]);
        let (mut one, mut two) = (prompt.clone(), prompt.clone());
        // The first goes on in the prompt's page, the other in one of its own.
        assert_eq!(cache.extend(&mut one, 0..1), [Place { rows: 0..1, start: 70 }]);
        assert_eq!(cache.extend(&mut two, 1..2), [Place { rows: 1..2, start: 96 }]);
        assert_eq!(cache.extend(&mut two, 0..2), [Place { rows: 0..2, start: 97 }]);
        assert_eq!((one.rows(), one.length()), (vec![0..71], 71));
        assert_eq!((two.rows(), two.length()), (vec![0..70, 96..99], 73));
        let mut begun = one.beginning(33);
        assert_eq!((begun.rows(), begun.length()), (vec![0..33], 33));
        assert_eq!(cache.extend(&mut begun, 0..1), [Place { rows: 0..1, start: 128 }]);
    }

    #[test]
    fn pages_that_no_sequence_holds_are_written_again() {
        let mut cache = cache();
        let (mut one, mut two) = (Sequence::default(), Sequence::default());
        cache.extend(&mut one, 0..PAGE);
        cache.extend(&mut two, 0..PAGE * PAGES);
        assert_eq!(cache.pages.len(), 2 * PAGES);
        drop(one);
        let mut three = Sequence::default();
        assert_eq!(cache.extend(&mut three, 0..3), [Place { rows: 0..3, start: 0 }]);
    }
}
