//! RMS norm: a cube of threads a row.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{MOST_CUBES, UNITS, add_up, beside, in_rows, written};

/// As [`rms_norm`](crate::fused::rms_norm).
pub(crate) fn rms_norm(
    states: &tensor::Tensor<2>,
    weight: &tensor::Tensor<2>,
    epsilon: f64,
) -> Option<tensor::Tensor<2>> {
    let [rows, width] = states.dims();
    if !(1..=MOST_CUBES).contains(&rows) {
        return None;
    }
    let (states, weight) = (in_rows(states)?, in_rows(weight)?);
    let output = beside(&states, [rows, width]);
    let client = states.client.clone();
    normed::launch(
        &client,
        CubeCount::Static(rows as u32, 1, 1),
        CubeDim::new_1d(UNITS),
        states.into_tensor_arg(),
        weight.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        epsilon as f32,
        UNITS as usize,
    );
    Some(written(output))
}

#[cube(launch)]
fn normed(
    states: &Tensor<f32>,
    weight: &Tensor<f32>,
    output: &mut Tensor<f32>,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let (row, unit, width) = (CUBE_POS_X as usize, UNIT_POS_X as usize, states.shape(1));
    let (from, to) = (row * states.stride(0), row * output.stride(0));
    let mut sum = 0.0f32;
    let mut place = UNIT_POS_X as usize;
    while place < width {
        let state = states[from + place];
        sum += state * state;
        place += units;
    }
    let mut sums = Shared::<[f32]>::new_slice(units);
    sums[unit] = sum;
    add_up(&mut sums);
    let scale = 1.0 / (sums[0] / width as f32 + epsilon).sqrt();
    let mut place = UNIT_POS_X as usize;
    while place < width {
        output[to + place] = states[from + place] * scale * weight[place];
        place += units;
    }
}
