//! Causal attention with grouped queries (Ainslie et al. 2023, arXiv 2305.13245), forward and backward.
//!
//! Queries are computed in blocks, each over the keys that it sees, and no probability is saved. Few queries of several sequences
//! that begin alike are computed together.
//!
//! With `S = s Q Kᵀ` (`s` is the scale, mostly `1 / √head_dim`), `P = softmax(S)` row by row, `O = P V`, and `dO` the gradient by the output:
//! `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = P · (dP − Σ P dP)`, `dQ = s dS K`, `dK = s dSᵀ Q`. The gradients by keys and values are sums
//! over the query heads that share them.

mod backward;
mod block;
mod few;
mod many;
mod paged;
mod shared;
mod span;
#[cfg(target_arch = "x86_64")]
mod tiles;

#[cfg(not(target_arch = "x86_64"))]
#[path = "attention/without_tiles.rs"]
mod tiles;

use rayon::prelude::*;

pub use self::{
    backward::backward,
    paged::{PAGE, PageBlock},
    span::AttentionSpan,
    tiles::TiledKeysValues,
};
use self::{block::Block, shared::Group};
use crate::{
    exp::exp,
    vector::{max_of, sum_of},
};

/// The heads of an attention, and how far back it looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads, of which `heads` is a multiple.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// The factor by which scores are multiplied.
    pub scale: f32,
    /// The largest number of keys that a query sees; its own is the last of them.
    pub window: Option<usize>,
}

impl AttentionShape {
    fn groups(self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Rows that one thread takes at least.
const ROWS: usize = 64;

/// From so many queries on, products of matrices are faster than one query after the other.
const MANY_QUERIES: usize = 16;

/// Some queries that are computed together.
enum Together<'a> {
    /// All queries of a span that has few.
    Few(&'a AttentionSpan),
    /// All queries of some spans that have few and begin alike.
    Shared(Group<'a>),
    Many(Block<'a>),
}

impl Together<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Few(span) => span.rows(),
            Self::Shared(group) => group.rows(),
            Self::Many(block) => block.rows(),
        }
    }
}

/// Attention of `[queries, keys, values]`: the output `[rows, heads · head_dim]`, and the logarithm of the sum of each softmax,
/// `[rows, heads]`. Queries are `[rows, heads · head_dim]`, keys and values `[tokens, kv_heads · head_dim]`; the spans' queries
/// are all rows in order.
pub fn forward(
    [queries, keys, values]: [&[f32]; 3],
    shape: AttentionShape,
    spans: &[AttentionSpan],
) -> (Vec<f32>, Vec<f32>) {
    let width = shape.heads * shape.head_dim;
    let rows = queries.len() / width;
    let (mut output, mut log_sums) = (vec![0.0; queries.len()], vec![0.0; rows * shape.heads]);
    let mut left = (output.as_mut_slice(), log_sums.as_mut_slice());
    let parts: Vec<_> = parts(spans, shape.window)
        .into_iter()
        .map(|part| {
            let (output, outputs_after) = std::mem::take(&mut left.0).split_at_mut(part.rows() * width);
            let (sums, sums_after) = std::mem::take(&mut left.1).split_at_mut(part.rows() * shape.heads);
            left = (outputs_after, sums_after);
            (part, output, sums)
        })
        .collect();
    parts.into_par_iter().for_each(|(part, output, log_sums)| match part {
        Together::Few(span) => few::attend([queries, keys, values], shape, span, output, log_sums),
        Together::Shared(group) => shared::attend([queries, keys, values], shape, &group, output, log_sums),
        Together::Many(block) => many::attend([queries, keys, values], shape, &block, output, log_sums),
    });
    (output, log_sums)
}

/// The parts of some spans, in the order of their queries.
fn parts(spans: &[AttentionSpan], window: Option<usize>) -> Vec<Together<'_>> {
    let mut parts = Vec::new();
    let mut left = spans;
    while let [span, after @ ..] = left {
        if let Some(group) = Group::of_first(left, window) {
            left = &left[group.spans.len()..];
            parts.push(Together::Shared(group));
            continue;
        }
        left = after;
        if span.rows() < MANY_QUERIES {
            parts.push(Together::Few(span));
        } else {
            parts.extend(Block::all(span, window).map(Together::Many));
        }
    }
    parts
}

/// Replaces scores by `softmax(scale · scores)`, and returns the logarithm of its sum, `ln Σ exp(scale · score)`.
fn softmax_of_row(scores: &mut [f32], scale: f32) -> f32 {
    let max = max_of(scores);
    for score in scores.iter_mut() {
        *score = exp((*score - max) * scale);
    }
    let sum = sum_of(scores);
    let factor = 1.0 / sum;
    for score in scores {
        *score *= factor;
    }
    max * scale + sum.ln()
}
