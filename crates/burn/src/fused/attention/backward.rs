//! The gradients of attention. Probabilities are computed again from the logarithms of their sums, a block of queries at a
//! time: kept, they would take more memory than all else that training keeps, and reading them as long as computing them
//! (Dao 2023, arXiv 2307.08691).

use std::sync::Arc;

use rayon::prelude::*;

use super::{AttentionShape, ROWS, block::Block, many::scores};
use crate::{
    dot::dot,
    exp::exp,
    fused::{Reach, Reaches, tensor},
    numbers::{Floats, compact, slice},
};
use lancer_kernels::{Matrix, MatrixMut, Write, multiply};

/// What the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) query: Floats,
    pub(crate) key: Floats,
    pub(crate) value: Floats,
    pub(crate) shape: AttentionShape,
    pub(crate) reaches: Arc<Reaches>,
    /// The logarithm of the sum of each softmax, `[rows, heads]`.
    pub(crate) log_sums: Vec<f32>,
}

/// All that the gradients of a head are computed from, each of all reaches.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    by_output: &'a [f32],
    log_sums: &'a [f32],
    shape: AttentionShape,
}

/// The gradients by one query head of a reach, and by the keys and values that it goes over, `[rows or keys, head_dim]`.
struct OfHead {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// The gradients by query, key and value.
pub(crate) fn backward(kept: Kept, by_output: Floats) -> [Floats; 3] {
    let Kept { query, key, value, shape, reaches, log_sums } = kept;
    let [query, key, value, by_output] = [query, key, value, by_output].map(compact);
    let inputs = Inputs {
        queries: slice(&query),
        keys: slice(&key),
        values: slice(&value),
        by_output: slice(&by_output),
        log_sums: &log_sums,
        shape,
    };
    let of_heads: Vec<OfHead> = (0..reaches.len() * shape.heads)
        .into_par_iter()
        .map(|place| inputs.of_head(&reaches[place / shape.heads], place % shape.heads))
        .collect();
    let mut by_query = vec![0.0; inputs.queries.len()];
    let [mut by_key, mut by_value] = [(); 2].map(|()| vec![0.0; inputs.keys.len()]);
    for (reach, of_heads) in reaches.iter().zip(of_heads.chunks_exact(shape.heads)) {
        gather(&mut by_query, reach, of_heads, shape);
        add_up(&mut by_key, reach, of_heads, |head| &head.keys, shape);
        add_up(&mut by_value, reach, of_heads, |head| &head.values, shape);
    }
    let (rows, tokens) = (by_query.len(), by_key.len());
    let (width, kv_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let of_tokens = |numbers| tensor(numbers, [tokens / kv_width, kv_width]);
    [tensor(by_query, [rows / width, width]), of_tokens(by_key), of_tokens(by_value)]
}

impl Inputs<'_> {
    fn of_head(self, reach: &Reach, head: usize) -> OfHead {
        let AttentionShape { heads, head_dim, scale, window, .. } = self.shape;
        let mut found = OfHead {
            queries: vec![0.0; reach.rows() * head_dim],
            keys: vec![0.0; reach.keys() * head_dim],
            values: vec![0.0; reach.keys() * head_dim],
        };
        let (mut probabilities, mut by_scores) = (Vec::new(), Vec::new());
        for block in Block::all(reach, window) {
            let (rows, seen) = (block.rows(), block.seen.len());
            probabilities.resize(rows * seen, 0.0);
            by_scores.resize(rows * seen, 0.0);
            scores([self.queries, self.keys], self.shape, &block, head, &mut probabilities);
            scores([self.by_output, self.values], self.shape, &block, head, &mut by_scores);
            let first = reach.queries.start + block.queries().start;
            let rows_of_both = probabilities.chunks_exact_mut(seen).zip(by_scores.chunks_exact_mut(seen));
            for (row, (probabilities, by_scores)) in rows_of_both.enumerate() {
                let log_sum = self.log_sums[(first + row) * heads + head];
                for score in block.only_seen_by(row, probabilities) {
                    *score = exp(*score * scale - log_sum);
                }
                let sum = dot(by_scores, probabilities);
                for (by, p) in by_scores.iter_mut().zip(&*probabilities) {
                    *by = p * (*by - sum) * scale;
                }
            }
            let probabilities = Matrix::new(&probabilities, [rows, seen], seen);
            let by_values = &mut found.values[block.seen.start * head_dim..];
            multiply(
                probabilities.transposed(),
                block.of_queries(self.by_output, self.shape, head),
                MatrixMut::new(by_values, [seen, head_dim], head_dim),
                Write::Add,
            );
            multiply(
                Matrix::new(&by_scores, [rows, seen], seen).transposed(),
                block.of_queries(self.queries, self.shape, head),
                MatrixMut::new(&mut found.keys[block.seen.start * head_dim..], [seen, head_dim], head_dim),
                Write::Add,
            );
            for part in block.parts() {
                let by_queries = &mut found.queries[block.queries().start * head_dim..];
                multiply(
                    Matrix::new(&by_scores[part.columns.start..], [rows, part.columns.len()], seen),
                    part.of(self.keys, self.shape, head),
                    MatrixMut::new(by_queries, [rows, head_dim], head_dim),
                    Write::Add,
                );
            }
        }
        found
    }
}

/// Writes the gradients by a reach's queries, `[rows, heads · head_dim]`.
fn gather(by_query: &mut [f32], reach: &Reach, of_heads: &[OfHead], shape: AttentionShape) {
    let width = shape.heads * shape.head_dim;
    let own = &mut by_query[reach.queries.start * width..reach.queries.end * width];
    own.par_chunks_exact_mut(width).with_min_len(ROWS).enumerate().for_each(|(row, by_query)| {
        for (by_query, head) in by_query.chunks_exact_mut(shape.head_dim).zip(of_heads) {
            by_query.copy_from_slice(&head.queries[row * shape.head_dim..][..shape.head_dim]);
        }
    });
}

/// Adds the gradients by a reach's keys or values, `[tokens, kv_heads · head_dim]`: tokens may be seen from several reaches.
fn add_up(
    sums: &mut [f32],
    reach: &Reach,
    of_heads: &[OfHead],
    of: impl Fn(&OfHead) -> &[f32] + Sync,
    shape: AttentionShape,
) {
    let AttentionShape { kv_heads, head_dim, .. } = shape;
    let width = kv_heads * head_dim;
    let mut before = 0;
    for range in &reach.keys {
        let own = &mut sums[range.start * width..range.end * width];
        own.par_chunks_exact_mut(width).with_min_len(ROWS).enumerate().for_each(|(row, sums)| {
            let first = (before + row) * head_dim;
            for (sums, group) in sums.chunks_exact_mut(head_dim).zip(of_heads.chunks_exact(shape.groups())) {
                for head in group {
                    let part = &of(head)[first..first + head_dim];
                    sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
            }
        });
        before += range.len();
    }
}
