//! Attention of few queries over long caches: a cube of threads for each query and head, which goes over the keys in chunks
//! with a running largest score (Milakov & Gimelshein 2018, arXiv 1805.02867).

#![allow(clippy::used_underscore_binding, reason = "a kernel's argument that only names a type")]

use burn::{backend::cubecl::dtype_to_storage_type, cubecl};
use cubecl::prelude::*;

use crate::{
    fused::{AttentionShape, spans::Listed},
    gpu::{Floats, MOST_CUBES, UNITS, add_up, beside, dims, find_largest, integers},
};

/// Whether there are not too many queries, and not too many numbers to a head.
pub(super) fn is_made_for(query: &Floats, shape: AttentionShape) -> bool {
    (1..=MOST_CUBES).contains(&dims(query)[0]) && shape.head_dim <= UNITS as usize * 2
}

/// Attention of what is listed.
pub(super) fn forward(
    query: Floats,
    key: Floats,
    value: Floats,
    shape: AttentionShape,
    [keys, seen]: &Listed,
) -> Floats {
    let AttentionShape { heads, kv_heads, head_dim, scale, .. } = shape;
    let rows = dims(&query)[0];
    let (keys, seen) = (integers(keys), integers(seen));
    let output = beside(&query, [rows, heads * head_dim]);
    let client = query.client.clone();
    // A thread for each number of a head, at least.
    let units = if head_dim > UNITS as usize { 2 * UNITS } else { UNITS };
    let integer = dtype_to_storage_type(keys.dtype);
    attended::launch(
        &client,
        CubeCount::Static(rows as u32, heads as u32, 1),
        CubeDim::new_1d(units),
        query.into_tensor_arg(),
        key.into_tensor_arg(),
        value.into_tensor_arg(),
        keys.into_tensor_arg(),
        seen.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        scale,
        head_dim,
        heads / kv_heads,
        units as usize,
        integer,
    );
    output
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn attended<I: Numeric>(
    query: &Tensor<f32>,
    key: &Tensor<f32>,
    value: &Tensor<f32>,
    keys: &Tensor<I>,
    seen: &Tensor<I>,
    output: &mut Tensor<f32>,
    scale: f32,
    #[comptime] head_dim: usize,
    #[comptime] groups: usize,
    #[comptime] units: usize,
    #[define(I)] _integer: ElemType,
) {
    let (row, head, unit) = (CUBE_POS_X as usize, CUBE_POS_Y as usize, UNIT_POS_X as usize);
    let of_head = head / groups * head_dim;
    let first = u32::cast_from(seen[2 * row]) as usize;
    let count = u32::cast_from(seen[2 * row + 1]) as usize;
    let (key_width, value_width) = (key.stride(0), value.stride(0));

    let mut own = Shared::<[f32]>::new_slice(head_dim);
    let mut weights = Shared::<[f32]>::new_slice(units);
    let mut rows = Shared::<[u32]>::new_slice(units);
    let mut parts = Shared::<[f32]>::new_slice(units);
    let mut number = UNIT_POS_X as usize;
    while number < head_dim {
        own[number] = query[row * query.stride(0) + head * head_dim + number] * scale;
        number += units;
    }
    sync_cube();

    // Each thread sums up one number of the output, over every `sharing`-th key.
    let sharing = comptime!(units / head_dim);
    let (number, share) = (unit % head_dim, unit / head_dim);
    let mut largest = f32::new(-1.0e30);
    let mut sum = 0.0f32;
    let mut output_part = 0.0f32;
    let mut start = 0;
    while start < count {
        let mut score = f32::new(-1.0e30);
        if start + unit < count {
            let key_row = u32::cast_from(keys[first + start + unit]);
            rows[unit] = key_row;
            let from = key_row as usize * key_width + of_head;
            let mut product = 0.0f32;
            for number in 0..head_dim {
                product += own[number] * key[from + number];
            }
            score = product;
        }
        parts[unit] = score;
        find_largest(&mut parts);
        let reached = max(largest, parts[0]);
        let kept = (largest - reached).exp();
        largest = reached;
        let mut weight = f32::new(0.0);
        if start + unit < count {
            weight = (score - reached).exp();
        }
        weights[unit] = weight;
        sum = sum * kept + weight;
        output_part *= kept;
        sync_cube();
        let end = min(units, count - start);
        if share < sharing {
            let mut place = unit / head_dim;
            while place < end {
                output_part += weights[place] * value[rows[place] as usize * value_width + of_head + number];
                place += sharing;
            }
        }
        sync_cube();
        start += units;
    }

    parts[unit] = sum;
    weights[unit] = output_part;
    add_up(&mut parts);
    if unit < head_dim {
        let mut total = 0.0f32;
        for share in 0..sharing {
            total += weights[share * head_dim + unit];
        }
        let to = row * output.stride(0) + head * head_dim + unit;
        output[to] = total / parts[0];
    }
}
