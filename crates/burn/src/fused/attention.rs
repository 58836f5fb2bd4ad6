//! Causal attention with grouped queries (Ainslie et al. 2023, arXiv 2305.13245), forward and backward.
//!
//! Queries are taken in blocks, each over the keys that it sees, and no probability is kept; few queries of several sequences that
//! begin alike are taken together.
//!
//! With `S = s Q Kᵀ` (`s` is the scale, mostly `1 / √head_dim`), `P = softmax(S)` row by row, `O = P V`, and `dO` the gradient by the output:
//! `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = P · (dP − Σ P dP)`, `dQ = s dS K`, `dK = s dSᵀ Q`. The gradients by keys and values are sums
//! over the query heads that share them.

mod backward;
mod block;
mod few;
mod many;
mod shared;

use rayon::prelude::*;

pub(super) use self::backward::{Kept, backward};
use self::{block::Block, shared::Group};
use super::{Reach, tensor};
use crate::{
    dot::{max_of, sum_of},
    exp::exp,
    numbers::{Floats, compact, slice},
};

/// The heads of an attention, and how far back it reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AttentionShape {
    /// Number of query heads.
    pub(crate) heads: usize,
    /// Number of key and value heads, of which `heads` is a multiple.
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// By which scores are multiplied.
    pub(crate) scale: f32,
    /// A query sees so many keys at most, its own the last of them.
    pub(crate) window: Option<usize>,
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
enum Part<'a> {
    /// All of a reach that has few.
    Few(&'a Reach),
    /// All of some reaches that have few and begin alike.
    Shared(Group<'a>),
    Many(Block<'a>),
}

impl Part<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Few(reach) => reach.rows(),
            Self::Shared(group) => group.rows(),
            Self::Many(block) => block.rows(),
        }
    }
}

/// The output `[rows, heads · head_dim]`, and the logarithm of the sum of each softmax, `[rows, heads]`.
pub(super) fn forward(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    reaches: &[Reach],
) -> (Floats, Vec<f32>) {
    let [query, key, value] = [query, key, value].map(compact);
    let [queries, keys, values] = [&query, &key, &value].map(slice);
    let width = shape.heads * shape.head_dim;
    let rows = queries.len() / width;
    let (mut output, mut log_sums) = (vec![0.0; queries.len()], vec![0.0; rows * shape.heads]);
    let mut left = (output.as_mut_slice(), log_sums.as_mut_slice());
    let parts: Vec<_> = parts(reaches, shape.window)
        .into_iter()
        .map(|part| {
            let (output, outputs_after) = std::mem::take(&mut left.0).split_at_mut(part.rows() * width);
            let (sums, sums_after) = std::mem::take(&mut left.1).split_at_mut(part.rows() * shape.heads);
            left = (outputs_after, sums_after);
            (part, output, sums)
        })
        .collect();
    parts.into_par_iter().for_each(|(part, output, log_sums)| match part {
        Part::Few(reach) => few::attend([queries, keys, values], shape, reach, output, log_sums),
        Part::Shared(group) => shared::attend([queries, keys, values], shape, &group, output, log_sums),
        Part::Many(block) => many::attend([queries, keys, values], shape, &block, output, log_sums),
    });
    (tensor(output, [rows, width]), log_sums)
}

/// The parts of some reaches, in the order of their queries.
fn parts(reaches: &[Reach], window: Option<usize>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut left = reaches;
    while let [reach, after @ ..] = left {
        if let Some(group) = Group::of_first(left, window) {
            left = &left[group.reaches.len()..];
            parts.push(Part::Shared(group));
            continue;
        }
        left = after;
        if reach.rows() < MANY_QUERIES {
            parts.push(Part::Few(reach));
        } else {
            parts.extend(Block::all(reach, window).map(Part::Many));
        }
    }
    parts
}

/// Makes `softmax(scale · scores)` of some scores, and gives the logarithm of its sum, `ln Σ exp(scale · score)`.
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
