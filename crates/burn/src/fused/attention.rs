//! Attention of tensors ([`lancer_kernels::attention`]), and the tensors that it saves for the backward pass.

use std::sync::Arc;

use lancer_kernels::attention::{self, AttentionShape, AttentionSpan};

use super::{AttentionSpans, tensor};
use crate::numbers::{Floats, compact, slice};

/// The tensors that the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct SavedAttention {
    pub(super) query: Floats,
    pub(super) key: Floats,
    pub(super) value: Floats,
    pub(super) shape: AttentionShape,
    pub(super) spans: Arc<AttentionSpans>,
    /// The logarithm of the sum of each softmax, `[rows, heads]`.
    pub(super) log_sums: Vec<f32>,
}

/// The output `[rows, heads · head_dim]` for compact tensors, and the logarithm of the sum of each softmax, `[rows, heads]`.
pub(super) fn forward(
    all: [&Floats; 3],
    shape: AttentionShape,
    spans: &[AttentionSpan],
) -> (Floats, Vec<f32>) {
    let (output, log_sums) = attention::forward(all.map(slice), shape, spans);
    let width = shape.heads * shape.head_dim;
    let rows = output.len() / width;
    (tensor(output, [rows, width]), log_sums)
}

/// The gradients by query, key and value.
pub(super) fn backward(saved: SavedAttention, by_output: Floats) -> [Floats; 3] {
    let SavedAttention { query, key, value, shape, spans, log_sums } = saved;
    let by_output = compact(by_output);
    let all = [&query, &key, &value].map(slice);
    let gradients = attention::backward(all, &log_sums, slice(&by_output), shape, &spans);
    let (width, kv_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let mut widths = [width, kv_width, kv_width].into_iter();
    gradients.map(|gradient| {
        let width = widths.next().unwrap_or(width);
        let rows = gradient.len() / width;
        tensor(gradient, [rows, width])
    })
}
