//! The rotary embedding: a thread for each two numbers that are turned together.

use burn::{cubecl, tensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::{beside, in_rows, written};
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
    let pairs = rows * width / 2;
    let units = CubeDim::new(&client, pairs);
    turned::launch(
        &client,
        calculate_cube_count_elemwise(&client, pairs, units),
        units,
        states.into_tensor_arg(),
        cosine.into_tensor_arg(),
        sine.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        pairs,
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
    pairs: usize,
    #[comptime] half: usize,
) {
    let pair = ABSOLUTE_POS;
    if pair >= pairs {
        terminate!();
    }
    let of_row = states.shape(1) / 2;
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
