//! The softmax of attention over the keys that each query sees, and its derivative: a cube of threads a row, in place.

#![allow(clippy::used_underscore_binding, reason = "a kernel's argument that only names a type")]

use burn::{
    backend::cubecl::dtype_to_storage_type,
    cubecl,
    tensor::{self, Int},
};
use cubecl::prelude::*;

use crate::{
    fused::AttentionShape,
    gpu::{Floats, UNITS, add_up, cubes, find_largest, floats, integers, matrix},
};

/// `softmax(s · scores)`, for `scores: [spans · kv_heads, groups · queries, keys]`, which nothing else holds.
pub(super) fn forward(
    scores: tensor::Tensor<3>,
    seen: &tensor::Tensor<1, Int>,
    queries: usize,
    shape: AttentionShape,
) -> tensor::Tensor<3> {
    let (scores, rows, keys) = rows_of(scores);
    let seen = integers(seen);
    let integer = dtype_to_storage_type(seen.dtype);
    weighted::launch(
        &scores.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS),
        scores.clone().into_tensor_arg(),
        seen.into_tensor_arg(),
        rows,
        keys,
        shape.heads,
        queries,
        shape.scale,
        UNITS as usize,
        integer,
    );
    matrix(scores)
}

/// The gradient by products of queries and keys, for that by the softmax, which nothing else holds.
pub(super) fn backward(
    weights: tensor::Tensor<3>,
    by_weights: tensor::Tensor<3>,
    seen: &tensor::Tensor<1, Int>,
    queries: usize,
    shape: AttentionShape,
) -> tensor::Tensor<3> {
    let (by_weights, rows, keys) = rows_of(by_weights);
    let seen = integers(seen);
    let integer = dtype_to_storage_type(seen.dtype);
    derived::launch(
        &by_weights.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS),
        floats(weights).into_tensor_arg(),
        by_weights.clone().into_tensor_arg(),
        seen.into_tensor_arg(),
        rows,
        keys,
        shape.heads,
        queries,
        shape.scale,
        UNITS as usize,
        integer,
    );
    matrix(by_weights)
}

/// A batch with the number of its rows and of their keys.
fn rows_of(scores: tensor::Tensor<3>) -> (Floats, usize, usize) {
    let [batch, rows, keys] = scores.dims();
    (floats(scores), batch * rows, keys)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn weighted<I: Numeric>(
    scores: &mut Tensor<f32>,
    seen: &Tensor<I>,
    rows: usize,
    keys: usize,
    heads: usize,
    queries: usize,
    scale: f32,
    #[comptime] units: usize,
    #[define(I)] _integer: ElemType,
) {
    let (row, unit) = (CUBE_POS, UNIT_POS_X as usize);
    if row >= rows {
        terminate!();
    }
    let (first, end) = keys_of(seen, row, heads, queries);
    let start = row * keys;
    let mut parts = Shared::<[f32]>::new_slice(units);

    let mut largest = f32::new(-1.0e30);
    let mut key = first / units * units + UNIT_POS_X as usize;
    while key < end {
        if key >= first {
            largest = max(largest, scores[start + key]);
        }
        key += units;
    }
    parts[unit] = largest;
    find_largest(&mut parts);
    let largest = parts[0];
    sync_cube();

    let mut sum = 0.0f32;
    // Each thread has the same keys in all passes: of what others write to memory it would know nothing.
    let mut key = first / units * units + UNIT_POS_X as usize;
    while key < end {
        if key >= first {
            let weight = ((scores[start + key] - largest) * scale).exp();
            scores[start + key] = weight;
            sum += weight;
        }
        key += units;
    }
    parts[unit] = sum;
    add_up(&mut parts);
    let total = parts[0];
    let mut key = UNIT_POS_X as usize;
    while key < keys {
        let mut weight = f32::new(0.0);
        if key >= first && key < end {
            weight = scores[start + key] / total;
        }
        scores[start + key] = weight;
        key += units;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn derived<I: Numeric>(
    weights: &Tensor<f32>,
    by_weights: &mut Tensor<f32>,
    seen: &Tensor<I>,
    rows: usize,
    keys: usize,
    heads: usize,
    queries: usize,
    scale: f32,
    #[comptime] units: usize,
    #[define(I)] _integer: ElemType,
) {
    let (row, unit) = (CUBE_POS, UNIT_POS_X as usize);
    if row >= rows {
        terminate!();
    }
    let (first, end) = keys_of(seen, row, heads, queries);
    let start = row * keys;
    let mut parts = Shared::<[f32]>::new_slice(units);

    let mut sum = 0.0f32;
    let mut key = first + UNIT_POS_X as usize;
    while key < end {
        sum += weights[start + key] * by_weights[start + key];
        key += units;
    }
    parts[unit] = sum;
    add_up(&mut parts);
    let mean = parts[0];
    let mut key = UNIT_POS_X as usize;
    while key < keys {
        let mut by_score = f32::new(0.0);
        if key >= first && key < end {
            by_score = weights[start + key] * (by_weights[start + key] - mean) * scale;
        }
        by_weights[start + key] = by_score;
        key += units;
    }
}

/// The first key that a row's query sees, and the first after those that it sees. Rows are those of all heads of a span, and
/// then those of the next.
#[cube]
fn keys_of<I: Numeric>(seen: &Tensor<I>, row: usize, heads: usize, queries: usize) -> (usize, usize) {
    let query = row / (heads * queries) * queries + row % queries;
    (u32::cast_from(seen[2 * query]) as usize, u32::cast_from(seen[2 * query + 1]) as usize)
}
