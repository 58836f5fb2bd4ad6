//! A block: some successive queries of a span with the keys that at least one of them sees, which are computed together.

use std::ops::Range;

use super::{AttentionShape, AttentionSpan};
use crate::matmul::Matrix;

/// Queries of a block. The scores of as many over some thousand keys stay in a processor's own cache.
const QUERIES: usize = 64;

/// Some successive queries of a span, and the keys that at least one of them sees.
#[derive(Debug, Clone)]
pub(super) struct Block<'a> {
    span: &'a AttentionSpan,
    /// The block's queries, counted within the span.
    queries: Range<usize>,
    /// The keys that at least one query sees, counted within the span.
    pub(super) seen: Range<usize>,
    window: usize,
}

/// Keys of a block that are contiguous in memory.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Rows of the keys in memory.
    rows: Range<usize>,
    /// Their columns among the keys that the block sees.
    pub(super) columns: Range<usize>,
}

impl<'a> Block<'a> {
    /// The blocks of a span.
    pub(super) fn all(span: &'a AttentionSpan, window: Option<usize>) -> impl Iterator<Item = Self> {
        let (rows, before) = (span.rows(), span.keys() - span.rows());
        let window = window.unwrap_or(usize::MAX);
        (0..rows).step_by(QUERIES).map(move |first| {
            let queries = first..(first + QUERIES).min(rows);
            let seen = (before + first + 1).saturating_sub(window)..before + queries.end;
            Self { span, queries, seen, window }
        })
    }

    /// How many queries it has.
    pub(super) fn rows(&self) -> usize {
        self.queries.len()
    }

    /// The block's queries, counted within the span.
    pub(super) fn queries(&self) -> Range<usize> {
        self.queries.clone()
    }

    /// The scores of the keys that a query sees, out of the scores of all keys of the block; the other scores become 0.
    pub(super) fn only_seen_by<'b>(&self, row: usize, scores: &'b mut [f32]) -> &'b mut [f32] {
        let seen = self.seen_by(row);
        scores[..seen.start].fill(0.0);
        scores[seen.end..].fill(0.0);
        &mut scores[seen]
    }

    /// The keys that a query sees, counted within the keys of the block.
    fn seen_by(&self, row: usize) -> Range<usize> {
        let end = self.seen.len() - self.rows() + row + 1;
        // The query's own key is the last that it sees; how many there are before the block's counts too.
        let first = (self.seen.start + end).saturating_sub(self.window).max(self.seen.start);
        first - self.seen.start..end
    }

    /// The keys that the block sees, in parts that are contiguous in memory.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let mut before = 0;
        let seen = self.seen.clone();
        self.span.keys.iter().filter_map(move |range| {
            let first = seen.start.max(before);
            let end = seen.end.min(before + range.len());
            let start = range.start + first.saturating_sub(before);
            before += range.len();
            (first < end).then(|| Part {
                rows: start..start + end - first,
                columns: first - seen.start..end - seen.start,
            })
        })
    }

    /// A head of the block's queries, in `[rows, heads · head_dim]`.
    pub(super) fn of_queries<'b>(&self, all: &'b [f32], shape: AttentionShape, head: usize) -> Matrix<'b> {
        let first = self.span.queries.start + self.queries.start;
        head_of(all, first..first + self.rows(), shape.heads, shape.head_dim, head)
    }
}

impl Part {
    /// All keys of these rows.
    pub(super) fn all(rows: Vec<Range<usize>>) -> Vec<Self> {
        let mut before = 0;
        let part = |rows: Range<usize>| {
            let first = before;
            before += rows.len();
            Self { rows, columns: first..before }
        };
        rows.into_iter().map(part).collect()
    }

    /// The keys or values that a query head goes over, in `[tokens, kv_heads · head_dim]`.
    pub(super) fn of<'b>(&self, all: &'b [f32], shape: AttentionShape, head: usize) -> Matrix<'b> {
        head_of(all, self.rows.clone(), shape.kv_heads, shape.head_dim, head / shape.groups())
    }
}

/// A head of some rows of `[rows, heads · head_dim]`.
pub(super) fn head_of(
    all: &[f32],
    rows: Range<usize>,
    heads: usize,
    head_dim: usize,
    head: usize,
) -> Matrix<'_> {
    let width = heads * head_dim;
    Matrix::new(&all[rows.start * width + head * head_dim..], [rows.len(), head_dim], width)
}
