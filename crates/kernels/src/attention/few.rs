//! Attention of few queries, such as the one of a sample that is written: query by query, over the keys in their place.

use rayon::prelude::*;

use super::{AttentionShape, AttentionSpan, softmax_of_row};
use crate::vector::{dot, multiply_add};

/// Key-value heads that one thread takes at a time.
const HEADS: usize = 4;

/// Numbers of a head that are summed at once.
const WIDTH: usize = 32;

/// Keys or values of one head.
#[derive(Clone, Copy)]
pub(super) struct OneHead<'a> {
    /// `[tokens, kv_heads · head_dim]`.
    pub(super) all: &'a [f32],
    pub(super) kv_head: usize,
    pub(super) shape: AttentionShape,
}

impl<'a> OneHead<'a> {
    /// The key or value of the token in this row.
    fn of(self, row: usize) -> &'a [f32] {
        let AttentionShape { kv_heads, head_dim, .. } = self.shape;
        &self.all[(row * kv_heads + self.kv_head) * head_dim..][..head_dim]
    }
}

/// The output of one span, `[its rows, heads · head_dim]`, and the logarithms of its softmax's sums, `[its rows, heads]`.
/// `queries` is `[rows, heads · head_dim]`, `keys` and `values` are `[tokens, kv_heads · head_dim]`, of all spans.
pub(super) fn attend(
    [queries, keys, values]: [&[f32]; 3],
    shape: AttentionShape,
    span: &AttentionSpan,
    output: &mut [f32],
    log_sums: &mut [f32],
) {
    let width = shape.heads * shape.head_dim;
    let queries = &queries[span.queries.start * width..span.queries.end * width];
    let places: Vec<usize> = span.keys.iter().cloned().flatten().collect();
    let before = places.len() - span.rows();
    // The queries of a row that share a key-value head lie side by side.
    let together = shape.groups() * shape.head_dim;
    let outputs = output.par_chunks_mut(together).zip(log_sums.par_chunks_mut(shape.groups()));
    let parts = outputs.zip(queries.par_chunks(together));
    parts.with_min_len(HEADS).enumerate().for_each(|(part, (output, queries))| {
        let (row, kv_head) = (part / shape.kv_heads, part % shape.kv_heads);
        let end = before + row + 1;
        let seen = &places[end.saturating_sub(shape.window.unwrap_or(end))..end];
        of_kv_head(queries, [keys, values].map(|all| OneHead { all, kv_head, shape }), seen, output);
    });
}

/// The output of one query of each of the heads that share `keys` and `values`, over the rows that it sees, and the logarithm
/// of the softmax's sum.
pub(super) fn of_kv_head(
    queries: &[f32],
    [keys, values]: [OneHead<'_>; 2],
    seen: &[usize],
    (output, log_sums): (&mut [f32], &mut [f32]),
) {
    let AttentionShape { head_dim, scale, .. } = keys.shape;
    let mut scores = vec![0.0; queries.len() / head_dim * seen.len()];
    for (place, &row) in seen.iter().enumerate() {
        let key = keys.of(row);
        let heads = queries.chunks_exact(head_dim).zip(scores.chunks_exact_mut(seen.len()));
        heads.for_each(|(query, scores)| scores[place] = dot(query, key));
    }
    let outputs = output.chunks_exact_mut(head_dim).zip(log_sums);
    for ((output, log_sum), scores) in outputs.zip(scores.chunks_exact_mut(seen.len())) {
        *log_sum = softmax_of_row(scores, scale);
        weighted_sum(scores, seen, values, output);
    }
}

/// `Σ p · value` over some rows.
fn weighted_sum(probabilities: &[f32], rows: &[usize], values: OneHead<'_>, output: &mut [f32]) {
    let (whole, rest) = output.as_chunks_mut::<WIDTH>();
    let of_rest = whole.len() * WIDTH;
    for (part, output) in whole.iter_mut().enumerate() {
        let mut sums = [0.0; WIDTH];
        for (&probability, &row) in probabilities.iter().zip(rows) {
            let value = &values.of(row)[part * WIDTH..][..WIDTH];
            for (sum, value) in sums.iter_mut().zip(value) {
                *sum = multiply_add(probability, *value, *sum);
            }
        }
        *output = sums;
    }
    for (number, output) in rest.iter_mut().enumerate() {
        let terms = probabilities.iter().zip(rows).map(|(p, &row)| p * values.of(row)[of_rest + number]);
        *output = terms.sum();
    }
}
