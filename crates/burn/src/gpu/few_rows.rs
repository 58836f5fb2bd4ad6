//! A product with few rows, such as a token each of some samples: the weights are read once, and what it waits for is memory.
//!
//! A cube of threads has [`OUTPUTS`] outputs beside each other of up to [`ROWS`] rows, and divides the inputs among
//! [`PARTS`] threads for each output.

use burn::cubecl;
use cubecl::prelude::*;

use super::{Floats, MOST_CUBES, beside, dims};

/// Outputs of a cube.
const OUTPUTS: usize = 32;
/// Threads that share the inputs of an output.
const PARTS: usize = 16;
/// Rows of a cube at most, of which each has a thread that adds up its parts.
const ROWS: usize = 8;
/// Rows up to which this is faster than a product in tiles.
const FEW_ROWS: usize = 32;

/// Whether there are few rows, and outputs beside each other in memory.
pub(super) fn is_made_for(states: &Floats, weight: &Floats) -> bool {
    let stand_beside = weight.meta.strides()[1] == 1;
    stand_beside && dims(states)[0] <= FEW_ROWS && dims(weight)[1] <= OUTPUTS * MOST_CUBES
}

/// `states · weight`, each with at least one number.
pub(super) fn product(states: Floats, weight: Floats) -> Floats {
    let (rows, outputs) = (dims(&states)[0], dims(&weight)[1]);
    let output = beside(&states, [rows, outputs]);
    let client = states.client.clone();
    let at_once = rows.next_power_of_two().min(ROWS);
    multiplied::launch(
        &client,
        CubeCount::Static(outputs.div_ceil(OUTPUTS) as u32, rows.div_ceil(at_once) as u32, 1),
        CubeDim::new_2d(OUTPUTS as u32, PARTS as u32),
        states.into_tensor_arg(),
        weight.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        at_once,
    );
    output
}

#[cube(launch)]
fn multiplied(
    states: &Tensor<f32>,
    weight: &Tensor<f32>,
    output: &mut Tensor<f32>,
    #[comptime] at_once: usize,
) {
    let (inputs, outputs) = (weight.shape(0), weight.shape(1));
    let place = CUBE_POS_X as usize * OUTPUTS + UNIT_POS_X as usize;
    let first = CUBE_POS_Y as usize * at_once;
    let last = states.shape(0) - 1;
    // Threads beside the last output or row compute it again, and nothing is written of it.
    let column = min(place, outputs - 1);
    let mut sums = Array::<f32>::new(at_once);
    #[unroll]
    for row in 0..at_once {
        sums[row] = 0.0;
    }
    let mut input = UNIT_POS_Y as usize;
    while input < inputs {
        let weight = weight[input * weight.stride(0) + column];
        #[unroll]
        for row in 0..at_once {
            let from = min(first + row, last) * states.stride(0);
            sums[row] += states[from + input * states.stride(1)] * weight;
        }
        input += PARTS;
    }
    let mut parts = Shared::<[f32]>::new_slice(comptime!(PARTS * OUTPUTS * ROWS));
    let unit = UNIT_POS_X as usize;
    #[unroll]
    for row in 0..at_once {
        parts[(row * PARTS + UNIT_POS_Y as usize) * OUTPUTS + unit] = sums[row];
    }
    sync_cube();
    let row = UNIT_POS_Y as usize;
    if row < at_once && first + row <= last && place < outputs {
        let mut sum = 0.0f32;
        for part in 0..PARTS {
            sum += parts[(row * PARTS + part) * OUTPUTS + unit];
        }
        output[(first + row) * outputs + place] = sum;
    }
}
