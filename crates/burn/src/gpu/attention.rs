//! Attention on GPUs: of few queries a cube of threads for each query and head, of many products of matrices.

mod few;
mod many;
mod softmax;

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Floats, floats, matrix};
use crate::{
    fused::{AttentionShape, AttentionSpans},
    settings::Products,
};

/// The tensors that attention saves for the backward pass.
#[derive(Debug, Clone)]
pub(crate) struct SavedAttention {
    pub(super) query: Floats,
    pub(super) key: Floats,
    pub(super) value: Floats,
    pub(super) shape: AttentionShape,
    pub(super) products: Products,
    pub(super) spans: Arc<AttentionSpans>,
}

/// Attention of all spans, `[rows, heads · head_dim]`.
pub(super) fn forward(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    products: Products,
    spans: &AttentionSpans,
) -> Floats {
    let device = matrix::<2>(query.clone()).device();
    if few::is_made_for(&query, shape)
        && let Some(listed) = spans.listed(shape.window, &device)
    {
        return few::forward(query, key, value, shape, &listed);
    }
    let [query, key, value] = [query, key, value].map(matrix::<2>);
    floats(padded(spans, shape, &query).forward([&query, &key, &value], shape, products))
}

/// The gradients by query, key and value.
pub(super) fn backward(saved: SavedAttention, by_output: Floats) -> [Floats; 3] {
    let SavedAttention { query, key, value, shape, products, spans } = saved;
    let [query, key, value, by_output] = [query, key, value, by_output].map(matrix::<2>);
    padded(&spans, shape, &query).backward([&query, &key, &value], &by_output, shape, products).map(floats)
}

fn padded<'a>(spans: &'a AttentionSpans, shape: AttentionShape, query: &Tensor<2>) -> &'a many::Padded {
    spans.for_gpu(shape.window, || many::Padded::new(spans, shape, &query.device()))
}
