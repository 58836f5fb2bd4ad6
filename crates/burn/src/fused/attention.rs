//! Causal attention with grouped queries (Ainslie et al. 2023, arXiv 2305.13245), forward and backward.
//!
//! With `S = s Q Kᵀ` (`s` is the scale, mostly `1 / √head_dim`), `P = softmax(S)` row by row, `O = P V`, and `dO` the gradient by the output:
//! `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = P · (dP − Σ P dP)`, `dQ = s dS K`, `dK = s dSᵀ Q`. The queries that
//! share a key-value head are rows of one product, so their gradients are summed by it.

mod few;

use std::{ops::Range, sync::Arc};

use burn::{backend::Flex, tensor::Tensor};
use rayon::prelude::*;

use super::{Reach, Reaches, tensor};
use crate::{
    dot::{dot, max_of, sum_of},
    exp::exp,
    numbers::{Floats, change, compact, primitive, read, slice},
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

/// What the backward pass needs.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) query: Floats,
    pub(super) key: Floats,
    pub(super) value: Floats,
    pub(super) shape: AttentionShape,
    pub(super) reaches: Arc<Reaches>,
    /// `P` of each reach, `[kv_heads, groups · rows, keys]`.
    pub(super) probabilities: Vec<Tensor<3>>,
}

/// Rows of a softmax that one thread takes at least.
const ROWS: usize = 64;

/// From so many queries on, products of matrices are faster than one query after the other.
const MANY_QUERIES: usize = 16;

/// The output `[rows, heads · head_dim]` alone.
pub(super) fn output(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    reaches: &[Reach],
) -> Floats {
    let (query, key, value) = (compact(query), compact(key), compact(value));
    let (all_queries, keys, values) = (slice(&query), slice(&key), slice(&value));
    let width = shape.heads * shape.head_dim;
    let rows = all_queries.len() / width;
    let mut output = vec![0.0; all_queries.len()];
    let mut left = output.as_mut_slice();
    let mut parts = Vec::with_capacity(reaches.len());
    for reach in reaches {
        let (own, after) = left.split_at_mut(reach.rows() * width);
        parts.push((reach, own));
        left = after;
    }
    parts.into_par_iter().for_each(|(reach, output)| {
        if reach.rows() < MANY_QUERIES {
            let queries = &all_queries[reach.queries.start * width..reach.queries.end * width];
            few::attend(queries, keys, values, shape, reach, output);
        } else {
            let [query, key, value] = [&query, &key, &value].map(|all| matrix(all.clone()));
            let (found, _) = attend(&query, &key, &value, shape, reach);
            read(&found, |found| output.copy_from_slice(found));
        }
    });
    tensor(output, [rows, width])
}

/// The output `[rows, heads · head_dim]`, and `P` of each reach.
pub(super) fn forward(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    reaches: &[Reach],
) -> (Floats, Vec<Tensor<3>>) {
    let (query, key, value) = (matrix(query), matrix(key), matrix(value));
    let (outputs, probabilities): (Vec<_>, Vec<_>) =
        reaches.par_iter().map(|reach| attend(&query, &key, &value, shape, reach)).unzip();
    (joined(outputs), probabilities)
}

/// The output of one reach, `[its rows, heads · head_dim]`, and its `P`.
fn attend(
    query: &Tensor<2>,
    key: &Tensor<2>,
    value: &Tensor<2>,
    shape: AttentionShape,
    reach: &Reach,
) -> (Tensor<2>, Tensor<3>) {
    let queries = by_kv_head(query, &reach.queries, shape);
    let keys = known(key, reach, shape);
    let values = known(value, reach, shape);
    let probabilities = softmax(queries.matmul(keys.swap_dims(1, 2)), reach, shape);
    (by_row(probabilities.clone().matmul(values), shape), probabilities)
}

/// The gradients by query, key and value.
pub(super) fn backward(kept: Kept, by_output: Floats) -> [Floats; 3] {
    let Kept { query, key, value, shape, reaches, probabilities } = kept;
    let (query, key, value) = (matrix(query), matrix(key), matrix(value));
    let by_output = matrix(by_output);
    let found: Vec<[Tensor<2>; 3]> = reaches
        .par_iter()
        .zip(probabilities)
        .map(|(reach, probabilities)| {
            let queries = by_kv_head(&query, &reach.queries, shape);
            let by_output = by_kv_head(&by_output, &reach.queries, shape);
            let keys = known(&key, reach, shape);
            let values = known(&value, reach, shape);
            let by_values = probabilities.clone().swap_dims(1, 2).matmul(by_output.clone());
            let by_probabilities = by_output.matmul(values.swap_dims(1, 2));
            let by_scores = softmax_backward(&probabilities, by_probabilities, shape);
            let by_keys = by_scores.clone().swap_dims(1, 2).matmul(queries);
            let by_queries = by_scores.matmul(keys);
            [by_row(by_queries, shape), by_token(by_keys), by_token(by_values)]
        })
        .collect();
    let (rows, width) = (key.dims()[0], shape.kv_heads * shape.head_dim);
    let (mut by_key, mut by_value) = (vec![0.0; rows * width], vec![0.0; rows * width]);
    let mut by_query = Vec::with_capacity(found.len());
    for (reach, [queries, keys, values]) in reaches.iter().zip(found) {
        by_query.push(queries);
        for (sum, part) in [(&mut by_key, keys), (&mut by_value, values)] {
            read(&part, |mut part| {
                for range in &reach.keys {
                    let (own, after) = part.split_at(range.len() * width);
                    let sum = &mut sum[range.start * width..range.end * width];
                    sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                    part = after;
                }
            });
        }
    }
    [joined(by_query), tensor(by_key, [rows, width]), tensor(by_value, [rows, width])]
}

/// Some rows of `[all, heads · head_dim]` as `[kv_heads, groups · rows, head_dim]`.
fn by_kv_head(all: &Tensor<2>, rows: &Range<usize>, shape: AttentionShape) -> Tensor<3> {
    let AttentionShape { kv_heads, head_dim, .. } = shape;
    let groups = shape.groups();
    all.clone()
        .narrow(0, rows.start, rows.len())
        .reshape([rows.len(), kv_heads, groups, head_dim])
        .permute([1, 2, 0, 3])
        .reshape([kv_heads, groups * rows.len(), head_dim])
}

/// The other way: `[kv_heads, groups · rows, head_dim]` as `[rows, heads · head_dim]`.
fn by_row(states: Tensor<3>, shape: AttentionShape) -> Tensor<2> {
    let AttentionShape { kv_heads, head_dim, .. } = shape;
    let groups = shape.groups();
    let rows = states.dims()[1] / groups;
    states
        .reshape([kv_heads, groups, rows, head_dim])
        .permute([2, 0, 1, 3])
        .reshape([rows, kv_heads * groups * head_dim])
}

/// The keys or values of a reach, `[kv_heads, keys, head_dim]`.
fn known(all: &Tensor<2>, reach: &Reach, shape: AttentionShape) -> Tensor<3> {
    let mut parts: Vec<Tensor<2>> =
        reach.keys.iter().map(|rows| all.clone().narrow(0, rows.start, rows.len())).collect();
    let rows = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 0) };
    rows.reshape([reach.keys(), shape.kv_heads, shape.head_dim]).swap_dims(0, 1)
}

/// The other way: `[kv_heads, keys, head_dim]` as `[keys, kv_heads · head_dim]`.
fn by_token(states: Tensor<3>) -> Tensor<2> {
    let [kv_heads, keys, head_dim] = states.dims();
    states.swap_dims(0, 1).reshape([keys, kv_heads * head_dim])
}

/// `softmax(scale · scores)` over the keys that each query sees; 0 for the others. Of `[kv_heads, groups · rows, keys]`.
fn softmax(scores: Tensor<3>, reach: &Reach, shape: AttentionShape) -> Tensor<3> {
    let (rows, keys, window) = (reach.rows(), reach.keys(), shape.window.unwrap_or(usize::MAX));
    let scale = shape.scale;
    change(scores, |all| {
        all.par_chunks_exact_mut(keys).with_min_len(ROWS).enumerate().for_each(|(place, row)| {
            let (before, after) = row.split_at_mut(keys - rows + place % rows + 1);
            let (too_far, seen) = before.split_at_mut(before.len().saturating_sub(window));
            softmax_of_row(seen, scale);
            too_far.fill(0.0);
            after.fill(0.0);
        });
    })
}

/// Makes `softmax(scale · scores)` of some scores.
fn softmax_of_row(scores: &mut [f32], scale: f32) {
    let max = max_of(scores);
    for score in scores.iter_mut() {
        *score = exp((*score - max) * scale);
    }
    let factor = 1.0 / sum_of(scores);
    for score in scores {
        *score *= factor;
    }
}

/// The gradient by the scores before they were divided.
fn softmax_backward(
    probabilities: &Tensor<3>,
    by_probabilities: Tensor<3>,
    shape: AttentionShape,
) -> Tensor<3> {
    let keys = probabilities.dims()[2];
    let scale = shape.scale;
    change(by_probabilities, |all| {
        read(probabilities, |probabilities| {
            let rows = all.par_chunks_exact_mut(keys).zip(probabilities.par_chunks_exact(keys));
            rows.with_min_len(ROWS).for_each(|(by, probabilities)| {
                let sum = dot(by, probabilities);
                for (by, p) in by.iter_mut().zip(probabilities) {
                    *by = p * (*by - sum) * scale;
                }
            });
        });
    })
}

fn joined(mut parts: Vec<Tensor<2>>) -> Floats {
    primitive(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 0) })
}

fn matrix(states: Floats) -> Tensor<2> {
    Tensor::from_primitive::<Flex>(states)
}
