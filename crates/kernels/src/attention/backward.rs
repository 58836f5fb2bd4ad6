//! The gradients of attention. Probabilities are computed again from the logarithms of their sums, a block of queries at a
//! time: saved, they would take more memory than everything else that training saves, and reading
//! them would take as long as computing them
//! (Dao 2023, arXiv 2307.08691).

use rayon::prelude::*;

use super::{AttentionShape, AttentionSpan, ROWS, block::Block, many::scores};
use crate::{
    exp::exp,
    matmul::{Matrix, MatrixMut, Write, multiply},
    vector::dot,
};

/// All that the gradients of a head are computed from, each of all spans.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    by_output: &'a [f32],
    log_sums: &'a [f32],
    shape: AttentionShape,
}

/// The gradients by one query head of a span, and by the keys and values that it goes over, `[rows or keys, head_dim]`.
struct OfHead {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// The gradients by queries, keys and values, from the gradient by the output and from the `log_sums` that
/// [`forward`](super::forward) returned.
pub fn backward(
    [queries, keys, values]: [&[f32]; 3],
    log_sums: &[f32],
    by_output: &[f32],
    shape: AttentionShape,
    spans: &[AttentionSpan],
) -> [Vec<f32>; 3] {
    let inputs = Inputs { queries, keys, values, by_output, log_sums, shape };
    let of_heads: Vec<OfHead> = (0..spans.len() * shape.heads)
        .into_par_iter()
        .map(|place| inputs.of_head(&spans[place / shape.heads], place % shape.heads))
        .collect();
    let mut by_query = vec![0.0; inputs.queries.len()];
    let [mut by_key, mut by_value] = [(); 2].map(|()| vec![0.0; inputs.keys.len()]);
    for (span, of_heads) in spans.iter().zip(of_heads.chunks_exact(shape.heads)) {
        gather(&mut by_query, span, of_heads, shape);
        add_up(&mut by_key, span, of_heads, |head| &head.keys, shape);
        add_up(&mut by_value, span, of_heads, |head| &head.values, shape);
    }
    [by_query, by_key, by_value]
}

impl Inputs<'_> {
    fn of_head(self, span: &AttentionSpan, head: usize) -> OfHead {
        let AttentionShape { heads, head_dim, scale, window, .. } = self.shape;
        let mut found = OfHead {
            queries: vec![0.0; span.rows() * head_dim],
            keys: vec![0.0; span.keys() * head_dim],
            values: vec![0.0; span.keys() * head_dim],
        };
        let (mut probabilities, mut by_scores) = (Vec::new(), Vec::new());
        for block in Block::all(span, window) {
            let (rows, seen) = (block.rows(), block.seen.len());
            probabilities.resize(rows * seen, 0.0);
            by_scores.resize(rows * seen, 0.0);
            scores([self.queries, self.keys], self.shape, &block, head, &mut probabilities);
            scores([self.by_output, self.values], self.shape, &block, head, &mut by_scores);
            let first = span.queries.start + block.queries().start;
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

/// Writes the gradients by a span's queries, `[rows, heads · head_dim]`.
fn gather(by_query: &mut [f32], span: &AttentionSpan, of_heads: &[OfHead], shape: AttentionShape) {
    let width = shape.heads * shape.head_dim;
    let own = &mut by_query[span.queries.start * width..span.queries.end * width];
    own.par_chunks_exact_mut(width).with_min_len(ROWS).enumerate().for_each(|(row, by_query)| {
        for (by_query, head) in by_query.chunks_exact_mut(shape.head_dim).zip(of_heads) {
            by_query.copy_from_slice(&head.queries[row * shape.head_dim..][..shape.head_dim]);
        }
    });
}

/// Adds the gradients by a span's keys or values, `[tokens, kv_heads · head_dim]`: tokens may be seen from several spans.
fn add_up(
    sums: &mut [f32],
    span: &AttentionSpan,
    of_heads: &[OfHead],
    of: impl Fn(&OfHead) -> &[f32] + Sync,
    shape: AttentionShape,
) {
    let AttentionShape { kv_heads, head_dim, .. } = shape;
    let width = kv_heads * head_dim;
    let mut before = 0;
    for range in &span.keys {
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
