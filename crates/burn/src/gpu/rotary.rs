//! The rotary embedding and its derivative: a thread for each two numbers that are rotated together.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{Floats, beside, dims, floats, matrix, threads};
use crate::fused::{Direction, RotaryTable};

/// Rotates the heads of each row of `[rows, heads · head_dim]`.
pub(super) fn rotate(states: Floats, rotary_table: &RotaryTable, direction: Direction) -> Floats {
    let [rows, width] = dims(&states);
    let output = beside(&states, [rows, width]);
    if rows == 0 {
        return output;
    }
    let of_device = matrix::<2>(states.clone()).device();
    let [cosine, sine]: [tensor::Tensor<3>; 2] = rotary_table.tensors(&of_device);
    let half = cosine.dims()[2];
    let client = states.client.clone();
    let (cubes, units) = threads(&states, rows * width / 2);
    rotated::launch(
        &client,
        cubes,
        units,
        states.into_tensor_arg(),
        floats(cosine).into_tensor_arg(),
        floats(sine).into_tensor_arg(),
        output.clone().into_tensor_arg(),
        half,
        direction == Direction::Back,
    );
    output
}

#[cube(launch)]
fn rotated(
    states: &Tensor<f32>,
    cosine: &Tensor<f32>,
    sine: &Tensor<f32>,
    output: &mut Tensor<f32>,
    #[comptime] half: usize,
    #[comptime] is_back: bool,
) {
    let (pair, of_row) = (ABSOLUTE_POS, states.shape(1) / 2);
    if pair >= states.shape(0) * of_row {
        terminate!();
    }
    let (row, place) = (pair / of_row, pair % of_row);
    let (head, number) = (place / half, place % half);
    let first = head * 2 * half + number;
    let from = row * states.stride(0) + first * states.stride(1);
    let (one, two) = (states[from], states[from + half * states.stride(1)]);
    let cosine = cosine[row * cosine.stride(0) + number];
    let mut sine = sine[row * sine.stride(0) + number];
    if comptime!(is_back) {
        sine = -sine;
    }
    let to = row * output.stride(0) + first;
    output[to] = one * cosine - two * sine;
    output[to + half] = two * cosine + one * sine;
}
