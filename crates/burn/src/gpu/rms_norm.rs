//! RMS norm and its derivative: a cube of threads a row.
//!
//! With `r = 1 / √(mean(x²) + ε)`, `u = x · r` and `g` the gradient by the output: that by `x` is
//! `r · (g w − u / width · Σ(g w u))`, and that by `w` is `Σ g u` over the rows.

use burn::cubecl;
use cubecl::prelude::*;

use super::{Floats, UNITS, add_up, beside, cubes, dims, floats, matrix};

/// Cubes that sum up a part of the gradient by the weight each, at most.
const PARTS: usize = 256;

pub(super) fn forward(states: Floats, weight: Floats, epsilon: f64) -> Floats {
    let [rows, width] = dims(&states);
    let output = beside(&states, [rows, width]);
    if rows == 0 {
        return output;
    }
    let client = states.client.clone();
    normed::launch(
        &client,
        cubes(rows),
        CubeDim::new_1d(UNITS),
        states.into_tensor_arg(),
        weight.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        epsilon as f32,
        UNITS as usize,
    );
    output
}

/// The gradients by states and, where it is wanted, weight.
pub(super) fn backward(
    states: Floats,
    weight: Floats,
    epsilon: f64,
    by_output: Floats,
    wants_weight: bool,
) -> (Floats, Option<Floats>) {
    let [rows, width] = dims(&states);
    let by_states = beside(&states, [rows, width]);
    let at_once = rows.div_ceil(PARTS).max(1);
    let parts = rows.div_ceil(at_once);
    let by_weight = beside(&states, [if wants_weight { parts } else { 1 }, width]);
    if rows > 0 {
        let client = states.client.clone();
        derived::launch(
            &client,
            cubes(parts),
            CubeDim::new_1d(UNITS),
            states.into_tensor_arg(),
            weight.into_tensor_arg(),
            by_output.into_tensor_arg(),
            by_states.clone().into_tensor_arg(),
            by_weight.clone().into_tensor_arg(),
            epsilon as f32,
            at_once,
            UNITS as usize,
            width,
            wants_weight,
        );
    }
    let by_weight = wants_weight.then(|| floats(matrix::<2>(by_weight).sum_dim(0)));
    (by_states, by_weight)
}

#[cube(launch)]
fn normed(
    states: &Tensor<f32>,
    weight: &Tensor<f32>,
    output: &mut Tensor<f32>,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let (row, unit, width) = (CUBE_POS, UNIT_POS_X as usize, states.shape(1));
    if row >= states.shape(0) {
        terminate!();
    }
    let (from, to, next) = (row * states.stride(0), row * output.stride(0), states.stride(1));
    let mut sum = 0.0f32;
    let mut place = UNIT_POS_X as usize;
    while place < width {
        let state = states[from + place * next];
        sum += state * state;
        place += units;
    }
    let mut sums = Shared::<[f32]>::new_slice(units);
    sums[unit] = sum;
    add_up(&mut sums);
    let scale = 1.0 / (sums[0] / width as f32 + epsilon).sqrt();
    let mut place = UNIT_POS_X as usize;
    while place < width {
        output[to + place] = states[from + place * next] * scale * weight[place];
        place += units;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn derived(
    states: &Tensor<f32>,
    weight: &Tensor<f32>,
    by_output: &Tensor<f32>,
    by_states: &mut Tensor<f32>,
    by_weight: &mut Tensor<f32>,
    epsilon: f32,
    rows: usize,
    #[comptime] units: usize,
    #[comptime] width: usize,
    #[comptime] wants_weight: bool,
) {
    let (part, unit) = (CUBE_POS, UNIT_POS_X as usize);
    let mut squares = Shared::<[f32]>::new_slice(units);
    let mut products = Shared::<[f32]>::new_slice(units);
    // Each thread has columns of its own.
    let mut of_weight = Array::<f32>::new(comptime!(width.div_ceil(units)));
    for column in 0..comptime!(width.div_ceil(units)) {
        of_weight[column] = 0.0;
    }
    let first = part * rows;
    let last = min(first + rows, states.shape(0));
    let mut row = part * rows;
    while row < last {
        let (from, by) = (row * states.stride(0), row * by_output.stride(0));
        let (next, next_by) = (states.stride(1), by_output.stride(1));
        let mut square = 0.0f32;
        let mut product = 0.0f32;
        let mut place = UNIT_POS_X as usize;
        while place < width {
            let state = states[from + place * next];
            square += state * state;
            product += state * by_output[by + place * next_by] * weight[place];
            place += units;
        }
        squares[unit] = square;
        products[unit] = product;
        add_up(&mut squares);
        add_up(&mut products);
        let scale = 1.0 / (squares[0] / width as f32 + epsilon).sqrt();
        let mean = products[0] * scale / width as f32;
        let mut column = 0usize;
        let mut place = UNIT_POS_X as usize;
        while place < width {
            let unscaled = states[from + place * next] * scale;
            let by_output = by_output[by + place * next_by];
            by_states[row * width + place] = (by_output * weight[place] - unscaled * mean) * scale;
            of_weight[column] += by_output * unscaled;
            column += 1;
            place += units;
        }
        sync_cube();
        row += 1;
    }
    if comptime!(wants_weight) {
        let mut column = 0usize;
        let mut place = UNIT_POS_X as usize;
        if first < states.shape(0) {
            while place < width {
                by_weight[part * width + place] = of_weight[column];
                column += 1;
                place += units;
            }
        }
    }
}
