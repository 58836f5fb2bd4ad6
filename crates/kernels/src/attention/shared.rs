//! Attention of few queries each of several spans that begin alike, such as samples of one prompt or answers to it: over what
//! they have in common by products of matrices, which read it once for all, and over the rest each by itself (Juravsky et al.
//! 2024, arXiv 2402.05099).

use std::ops::Range;

use rayon::prelude::*;

use super::{
    AttentionShape, AttentionSpan, MANY_QUERIES,
    block::{Part, head_of},
    few, softmax_of_row,
};
use crate::matmul::{Matrix, MatrixMut, Write, multiply};
use crate::pieces::pieces;

/// Products of matrices are worth it for so many queries, at least,
const QUERIES: usize = 4;
/// over so many keys.
const KEYS: usize = 64;

/// Successive spans that begin alike.
pub(super) struct Group<'a> {
    pub(super) spans: &'a [AttentionSpan],
    /// The keys that all their queries see.
    shared: Vec<Part>,
    /// How many those are.
    count: usize,
    /// Rows of the other keys of each span.
    own: Vec<Vec<usize>>,
}

impl<'a> Group<'a> {
    /// The first of these spans and those after it that begin like it, if there are enough.
    pub(super) fn of_first(spans: &'a [AttentionSpan], window: Option<usize>) -> Option<Self> {
        let sees_all = |span: &AttentionSpan| window.is_none_or(|window| span.keys() <= window);
        let mut few = spans.iter().take_while(|span| span.rows() < MANY_QUERIES && sees_all(span));
        let mut shared = before(few.next()?);
        let mut alike = 1;
        for span in few {
            let more = in_common(&shared, &before(span));
            if length(&more) < KEYS {
                break;
            }
            shared = more;
            alike += 1;
        }
        let spans = &spans[..alike];
        let (rows, count) = (spans.iter().map(AttentionSpan::rows).sum::<usize>(), length(&shared));
        (rows >= QUERIES && count >= KEYS).then(|| {
            let others = |span: &AttentionSpan| span.keys.iter().cloned().flatten().skip(count).collect();
            Self { spans, own: spans.iter().map(others).collect(), shared: Part::all(shared), count }
        })
    }

    /// How many queries it has.
    pub(super) fn rows(&self) -> usize {
        self.spans.iter().map(AttentionSpan::rows).sum()
    }
}

/// Rows of the keys before a span's own queries.
fn before(span: &AttentionSpan) -> Vec<Range<usize>> {
    let mut left = span.keys() - span.rows();
    let mut rows = Vec::with_capacity(span.keys.len());
    for range in &span.keys {
        let count = range.len().min(left);
        if count > 0 {
            rows.push(range.start..range.start + count);
        }
        left -= count;
    }
    rows
}

/// The rows with which both begin.
fn in_common(one: &[Range<usize>], two: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut common = Vec::new();
    for (one, two) in one.iter().zip(two) {
        if one.start != two.start {
            break;
        }
        common.push(one.start..one.end.min(two.end));
        if one.end != two.end {
            break;
        }
    }
    common
}

fn length(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(Range::len).sum()
}

/// The output of a group, `[its rows, heads · head_dim]`, and the logarithms of its softmax's sums, `[its rows, heads]`.
/// `queries` is `[rows, heads · head_dim]`, `keys` and `values` are `[tokens, kv_heads · head_dim]`, of all spans.
pub(super) fn attend(
    all: [&[f32]; 3],
    shape: AttentionShape,
    group: &Group<'_>,
    output: &mut [f32],
    log_sums: &mut [f32],
) {
    let rows = group.rows();
    let outputs = pieces(output, shape.heads * shape.head_dim, [rows, shape.head_dim]);
    let log_sums = pieces(log_sums, shape.heads, [rows, 1]);
    outputs.into_par_iter().zip(log_sums).enumerate().for_each(|(head, (output, log_sums))| {
        let rows = output.rows.into_iter().zip(log_sums.rows);
        of_head(all, shape, group, head, rows);
    });
}

/// The output of one head and the logarithm of its softmax's sum, row by row.
fn of_head<'b>(
    [queries, keys, values]: [&[f32]; 3],
    shape: AttentionShape,
    group: &Group<'_>,
    head: usize,
    mut outputs: impl Iterator<Item = (&'b mut [f32], &'b mut [f32])>,
) {
    let AttentionShape { heads, head_dim, scale, .. } = shape;
    let (rows, count, kv_head) = (group.rows(), group.count, head / shape.groups());
    let first = group.spans.first().map_or(0, |span| span.queries.start);
    let of_queries = head_of(queries, first..first + rows, heads, head_dim, head);
    let mut scores = vec![0.0; rows * count];
    for part in &group.shared {
        let output = MatrixMut::new(&mut scores[part.columns.start..], [rows, part.columns.len()], count);
        multiply(of_queries, part.of(keys, shape, head).transposed(), output, Write::Over);
    }
    let log_sums: Vec<f32> =
        scores.chunks_exact_mut(count).map(|scores| softmax_of_row(scores, scale)).collect();
    let mut attended = vec![0.0; rows * head_dim];
    for part in &group.shared {
        let probabilities = Matrix::new(&scores[part.columns.start..], [rows, part.columns.len()], count);
        let output = MatrixMut::new(&mut attended, [rows, head_dim], head_dim);
        multiply(probabilities, part.of(values, shape, head), output, Write::Add);
    }
    let mut of_shared = attended.chunks_exact(head_dim).zip(log_sums);
    for (span, own) in group.spans.iter().zip(&group.own) {
        for (place, query) in span.queries.clone().enumerate() {
            let (Some((output, log_sum)), Some(of_shared)) = (outputs.next(), of_shared.next()) else {
                return;
            };
            let query = &queries[(query * heads + head) * head_dim..][..head_dim];
            let seen = &own[..=own.len() - span.rows() + place];
            let [keys, values] = [keys, values].map(|all| few::OneHead { all, kv_head, shape });
            few::of_kv_head(query, [keys, values], seen, (&mut *output, &mut *log_sum));
            join((output, log_sum), of_shared);
        }
    }
}

/// Makes attention over some keys that over others too: outputs are weighted by the sums of their softmaxes.
fn join((output, log_sum): (&mut [f32], &mut [f32]), (other, other_log_sum): (&[f32], f32)) {
    for log_sum in log_sum {
        let max = log_sum.max(other_log_sum);
        let (weight, other_weight) = ((*log_sum - max).exp(), (other_log_sum - max).exp());
        let sum = weight + other_weight;
        *log_sum = max + sum.ln();
        for (output, other) in output.iter_mut().zip(other) {
            *output = (*output * weight + other * other_weight) / sum;
        }
    }
}
