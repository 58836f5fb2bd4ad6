//! Attention over many spans at once: those of about the same size are padded to the same and made one product, after long
//! ones were cut into pieces.
//!
//! With `S = s Q Kᵀ`, `P = softmax(S)` row by row, `O = P V`, and `dO` the gradient by the output: `dV = Pᵀ dO`, `dP = dO Vᵀ`,
//! `dS = P · (dP − Σ P dP)`, `dQ = s dS K`, `dK = s dSᵀ Q`. `P` is computed again on the way back: kept, it would take more
//! memory than all else that training keeps.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor};

use super::softmax;
use crate::{
    fused::{AttentionShape, AttentionSpan, Lookup},
    gpu::{self, add_rows, floats, matrix},
    numbers::indices,
    settings::Products,
};

/// Queries of a piece. Half of the scores of those within it are of keys that are not seen.
const QUERIES: usize = 512;
/// Attention scores are held for several spans together up to this many, which take 256 MB; a larger span is held alone.
const SCORES: usize = 1 << 26;

/// Attention spans as tensors.
#[derive(Debug)]
pub(crate) struct Padded {
    groups: Vec<Group>,
}

/// Attention spans of about the same size.
#[derive(Debug)]
struct Group {
    spans: usize,
    queries: usize,
    keys: usize,
    /// Lookup of the queries, `[spans · queries]`.
    query_rows: Lookup,
    /// Lookup of the keys, `[spans · keys]`.
    key_rows: Lookup,
    /// Of each query the first key that it sees, and the first after those that it sees, `[spans · queries · 2]`.
    seen: Tensor<1, Int>,
}

/// A group's queries, keys or values, `[spans · kv_heads, rows, head_dim]`. Queries that share a key-value head are rows of one
/// product.
type Batch = Tensor<3>;

impl Padded {
    pub(super) fn new(spans: &[AttentionSpan], shape: AttentionShape, device: &Device) -> Self {
        let mut groups: BTreeMap<(usize, usize), Vec<&AttentionSpan>> = BTreeMap::new();
        let pieces: Vec<AttentionSpan> = spans.iter().flat_map(|span| span.pieces(QUERIES)).collect();
        for span in &pieces {
            let size = (span.rows().next_power_of_two(), span.keys().next_power_of_two());
            groups.entry(size).or_default().push(span);
        }
        let at_once = |(queries, keys): (usize, usize)| (SCORES / (shape.heads * queries * keys)).max(1);
        let groups = groups.iter().flat_map(|(&size, spans)| spans.chunks(at_once(size)));
        Self { groups: groups.map(|spans| Group::new(spans, shape.window, device)).collect() }
    }

    pub(super) fn forward(
        &self,
        [query, key, value]: [&Tensor<2>; 3],
        shape: AttentionShape,
        products: Products,
    ) -> Tensor<2> {
        let mut output = query.zeros_like();
        for group in &self.groups {
            let (queries, keys) = (group.queries_of(query, shape), group.keys_of(key, shape));
            let weights = group.weights(queries, keys, shape, products);
            let outputs = product(weights, group.keys_of(value, shape), products);
            output = add_rows(output, &group.rows_of(outputs, shape), &group.query_rows);
        }
        output
    }

    /// The gradients by query, key and value.
    pub(super) fn backward(
        &self,
        [query, key, value]: [&Tensor<2>; 3],
        by_output: &Tensor<2>,
        shape: AttentionShape,
        products: Products,
    ) -> [Tensor<2>; 3] {
        let [mut by_query, mut by_key, mut by_value] = [query, key, value].map(Tensor::zeros_like);
        for group in &self.groups {
            let factor = |all: Batch| matrix::<3>(gpu::product::factor(floats(all), products));
            let queries = factor(group.queries_of(query, shape));
            let [keys, values] = [key, value].map(|all| factor(group.keys_of(all, shape)));
            let by_outputs = factor(group.queries_of(by_output, shape));
            let weights = group.weights(queries.clone(), keys.clone(), shape, products);
            let by_weights = product(by_outputs.clone(), values.transpose(), products);
            let by_scores = softmax::backward(weights.clone(), by_weights, &group.seen, group.queries, shape);
            let by_scores = factor(by_scores);
            let by_values = product(weights.transpose(), by_outputs, products);
            let by_queries = product(by_scores.clone(), keys, products);
            let by_keys = product(by_scores.transpose(), queries, products);
            by_query = add_rows(by_query, &group.rows_of(by_queries, shape), &group.query_rows);
            by_key = add_rows(by_key, &group.key_rows_of(by_keys, shape), &group.key_rows);
            by_value = add_rows(by_value, &group.key_rows_of(by_values, shape), &group.key_rows);
        }
        [by_query, by_key, by_value]
    }
}

impl Group {
    /// At least one span.
    fn new(spans: &[&AttentionSpan], window: Option<usize>, device: &Device) -> Self {
        let largest = |of: fn(&AttentionSpan) -> usize| spans.iter().map(|span| of(span)).max().unwrap_or(0);
        let (queries, keys) = (largest(AttentionSpan::rows), largest(AttentionSpan::keys));
        let (mut query_rows, mut key_rows, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for span in spans {
            query_rows.extend(padded(span.queries.clone(), queries));
            key_rows.extend(padded(span.keys.iter().cloned().flatten(), keys));
            let before = span.keys() - span.rows();
            for query in 0..queries {
                let end = if query < span.rows() { before + query + 1 } else { 0 };
                seen.extend([window.map_or(0, |window| end.saturating_sub(window)), end]);
            }
        }
        Self {
            spans: spans.len(),
            queries,
            keys,
            query_rows: Lookup::new(query_rows),
            key_rows: Lookup::new(key_rows),
            seen: indices(seen, device),
        }
    }

    /// `P`, `[spans · kv_heads, groups · queries, keys]`.
    fn weights(&self, queries: Batch, keys: Batch, shape: AttentionShape, products: Products) -> Tensor<3> {
        softmax::forward(product(queries, keys.transpose(), products), &self.seen, self.queries, shape)
    }

    /// The rows of queries, or of gradients by their outputs.
    fn queries_of(&self, all: &Tensor<2>, shape: AttentionShape) -> Batch {
        let &Self { spans, queries, .. } = self;
        let AttentionShape { heads, kv_heads, head_dim, .. } = shape;
        let groups = heads / kv_heads;
        let rows = all.clone().select(0, self.query_rows.lists(&all.device()).rows.clone());
        let rows = rows.reshape([spans, queries, kv_heads, groups, head_dim]).permute([0, 2, 3, 1, 4]);
        rows.reshape([spans * kv_heads, groups * queries, head_dim])
    }

    /// The rows of keys or values.
    fn keys_of(&self, all: &Tensor<2>, shape: AttentionShape) -> Batch {
        let &Self { spans, keys, .. } = self;
        let AttentionShape { kv_heads, head_dim, .. } = shape;
        let rows = all.clone().select(0, self.key_rows.lists(&all.device()).rows.clone());
        let rows = rows.reshape([spans, keys, kv_heads, head_dim]).permute([0, 2, 1, 3]);
        rows.reshape([spans * kv_heads, keys, head_dim])
    }

    /// What [`queries_of`](Self::queries_of) has taken apart, `[spans · queries, heads · head_dim]`.
    fn rows_of(&self, queries: Batch, shape: AttentionShape) -> Tensor<2> {
        let AttentionShape { heads, kv_heads, head_dim, .. } = shape;
        let apart = queries.reshape([self.spans, kv_heads, heads / kv_heads, self.queries, head_dim]);
        apart.permute([0, 3, 1, 2, 4]).reshape([self.spans * self.queries, heads * head_dim])
    }

    /// What [`keys_of`](Self::keys_of) has taken apart, `[spans · keys, kv_heads · head_dim]`.
    fn key_rows_of(&self, keys: Batch, shape: AttentionShape) -> Tensor<2> {
        let AttentionShape { kv_heads, head_dim, .. } = shape;
        let apart = keys.reshape([self.spans, kv_heads, self.keys, head_dim]);
        apart.permute([0, 2, 1, 3]).reshape([self.spans * self.keys, kv_heads * head_dim])
    }
}

fn product(left: Tensor<3>, right: Tensor<3>, products: Products) -> Tensor<3> {
    matrix(gpu::product::product(floats(left), floats(right), products))
}

/// These rows, and then padding, `count` in all.
fn padded(rows: impl Iterator<Item = usize>, count: usize) -> impl Iterator<Item = Option<usize>> {
    rows.map(Some).chain(std::iter::repeat(None)).take(count)
}
