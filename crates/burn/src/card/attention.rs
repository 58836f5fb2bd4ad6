//! Attention on cards: of few queries a cube of threads for each query and head, of many products of matrices.

mod few;
mod many;
mod softmax;

use burn::tensor::Tensor;

pub(crate) use self::many::Padded;

use super::{Floats, floats, layer::Attended, matrix};
use crate::{
    fused::{AttentionShape, Reaches},
    settings::Products,
};

/// Attention of all reaches, `[rows, heads · head_dim]`.
pub(super) fn forward(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    products: Products,
    reaches: &Reaches,
) -> Floats {
    let device = matrix::<2>(query.clone()).device();
    if few::is_made_for(&query, shape)
        && let Some(listed) = reaches.listed(shape.window, &device)
    {
        return few::forward(query, key, value, shape, &listed);
    }
    let [query, key, value] = [query, key, value].map(matrix::<2>);
    floats(padded(reaches, shape, &query).forward([&query, &key, &value], shape, products))
}

/// The gradients by query, key and value.
pub(super) fn backward(kept: Attended, by_output: Floats) -> [Floats; 3] {
    let Attended { query, key, value, shape, products, reaches } = kept;
    let [query, key, value, by_output] = [query, key, value, by_output].map(matrix::<2>);
    padded(&reaches, shape, &query).backward([&query, &key, &value], &by_output, shape, products).map(floats)
}

fn padded<'a>(reaches: &'a Reaches, shape: AttentionShape, query: &Tensor<2>) -> &'a many::Padded {
    reaches.padded(shape.window, || many::Padded::new(reaches, shape, &query.device()))
}
