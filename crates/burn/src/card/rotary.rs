//! The rotary embedding: a thread for each two numbers that are turned together.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{beside, in_rows, threads, written};
use crate::fused::Turns;

/// As [`rotate`](crate::fused::rotate).
pub(crate) fn rotate(states: &tensor::Tensor<2>, turns: &Turns) -> Option<tensor::Tensor<2>> {
    let [rows, width] = states.dims();
    if rows == 0 {
        return None;
    }
    let of_device = states.device();
    let states = in_rows(states)?;
    let [cosine, sine] = turns.tables(&of_device);
    let half = cosine.dims()[2];
    let (cosine, sine) = (in_rows(&cosine)?, in_rows(&sine)?);
    let output = beside(&states, [rows, width]);
    let client = states.client.clone();
    let (cubes, units) = threads(&states, rows * width / 2);
    turned::launch(
        &client,
        cubes,
        units,
        states.into_tensor_arg(),
        cosine.into_tensor_arg(),
        sine.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        half,
    );
    Some(written(output))
}

#[cube(launch)]
fn turned(
    states: &Tensor<f32>,
    cosine: &Tensor<f32>,
    sine: &Tensor<f32>,
    output: &mut Tensor<f32>,
    #[comptime] half: usize,
) {
    let (pair, of_row) = (ABSOLUTE_POS, states.shape(1) / 2);
    if pair >= states.shape(0) * of_row {
        terminate!();
    }
    let (row, place) = (pair / of_row, pair % of_row);
    let (head, number) = (place / half, place % half);
    let first = head * 2 * half + number;
    let (from, to) = (row * states.stride(0) + first, row * output.stride(0) + first);
    let (one, two) = (states[from], states[from + half]);
    let cosine = cosine[row * cosine.stride(0) + number];
    let sine = sine[row * sine.stride(0) + number];
    output[to] = one * cosine - two * sine;
    output[to + half] = two * cosine + one * sine;
}
