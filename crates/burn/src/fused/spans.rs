//! The attention spans of a pass, and the lists that attention makes of them.

use std::{any::Any, ops::Deref, sync::OnceLock};

use burn::tensor::{Device, Int, Tensor};
use lancer_kernels::attention::{AttentionSpan, PageBlock};

use crate::numbers::indices;

/// The largest number of queries of a span for which a GPU goes over the keys for each query; with more, products of matrices
/// are faster.
const FEW: usize = 32;

/// The spans of a pass, whose queries are all rows in order, and the lists that attention makes of them, which are the same in every layer.
#[derive(Debug)]
pub(crate) struct AttentionSpans {
    all: Vec<AttentionSpan>,
    whole: Made,
    /// For layers with a sliding window: all windows of a model are of one size.
    windowed: Made,
}

/// The lists that were made of the spans.
#[derive(Debug, Default)]
struct Made {
    for_gpu: OnceLock<Box<dyn Any + Send + Sync>>,
    blocks: OnceLock<Vec<PageBlock>>,
    listed: OnceLock<Listed>,
}

/// Attention spans of few queries as tensors: the rows of the keys, one span after another; and for each query the place of the first
/// key there and how many it sees, `[2 · rows]`.
pub(crate) type Listed = [Tensor<1, Int>; 2];

impl AttentionSpans {
    /// The form in which the kernels for GPUs take the spans, which is made once.
    pub(crate) fn for_gpu<T: Any + Send + Sync>(
        &self,
        window: Option<usize>,
        make: impl FnOnce() -> T,
    ) -> &T {
        let made = self.made(window).for_gpu.get_or_init(|| Box::new(make()));
        // Holds since one kernel alone asks for it, with one type.
        made.downcast_ref().expect("one form for the kernels of GPUs")
    }

    /// Cut into blocks of so many queries at most, once.
    pub(crate) fn blocks(&self, window: Option<usize>, at_once: usize) -> &[PageBlock] {
        self.made(window).blocks.get_or_init(|| PageBlock::all(&self.all, at_once, window))
    }

    /// As lists, which are made once; `None` where a span has many queries.
    pub(crate) fn listed(&self, window: Option<usize>, device: &Device) -> Option<Listed> {
        let are_few = self.all.iter().all(|span| span.rows() <= FEW);
        are_few.then(|| self.made(window).listed.get_or_init(|| list(&self.all, window, device)).clone())
    }

    fn made(&self, window: Option<usize>) -> &Made {
        if window.is_none() { &self.whole } else { &self.windowed }
    }
}

fn list(spans: &[AttentionSpan], window: Option<usize>, device: &Device) -> Listed {
    let (mut keys, mut seen) = (Vec::new(), Vec::new());
    for span in spans {
        for query in 1..=span.rows() {
            let known = span.keys() - span.rows() + query;
            let count = window.map_or(known, |window| known.min(window));
            seen.extend([keys.len() + known - count, count]);
        }
        keys.extend(span.keys.iter().cloned().flatten());
    }
    [indices(keys, device), indices(seen, device)]
}

impl From<Vec<AttentionSpan>> for AttentionSpans {
    fn from(all: Vec<AttentionSpan>) -> Self {
        Self { all, whole: Made::default(), windowed: Made::default() }
    }
}

impl Deref for AttentionSpans {
    type Target = [AttentionSpan];

    fn deref(&self) -> &[AttentionSpan] {
        &self.all
    }
}
