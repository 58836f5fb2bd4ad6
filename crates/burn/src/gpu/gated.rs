//! A gated activation and its derivative: a thread a number.

use burn::cubecl;
use cubecl::prelude::*;
use lancer_model::Activation;

use super::{Floats, beside, dims, number, threads};
use lancer_kernels::gated::{GELU_CUBIC, GELU_LINEAR};

pub(super) fn forward(gate: Floats, up: Floats, activation: Activation) -> Floats {
    let [rows, width] = dims(&gate);
    let output = beside(&gate, [rows, width]);
    if rows == 0 {
        return output;
    }
    let client = gate.client.clone();
    let (cubes, units) = threads(&gate, rows * width);
    activated::launch(
        &client,
        cubes,
        units,
        gate.into_tensor_arg(),
        up.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        activation == Activation::Silu,
    );
    output
}

/// The gradients by `gate` and `up`.
pub(super) fn backward(gate: Floats, up: Floats, activation: Activation, by_output: Floats) -> [Floats; 2] {
    let [rows, width] = dims(&gate);
    let outputs = [(); 2].map(|()| beside(&gate, [rows, width]));
    if rows == 0 {
        return outputs;
    }
    let client = gate.client.clone();
    let (cubes, units) = threads(&gate, rows * width);
    let [by_gate, by_up] = outputs.clone();
    derived::launch(
        &client,
        cubes,
        units,
        gate.into_tensor_arg(),
        up.into_tensor_arg(),
        by_output.into_tensor_arg(),
        by_gate.into_tensor_arg(),
        by_up.into_tensor_arg(),
        activation == Activation::Silu,
    );
    outputs
}

#[cube(launch)]
fn activated(gate: &Tensor<f32>, up: &Tensor<f32>, output: &mut Tensor<f32>, #[comptime] is_silu: bool) {
    let (place, width) = (ABSOLUTE_POS, gate.shape(1));
    if place >= gate.shape(0) * width {
        terminate!();
    }
    let (row, column) = (place / width, place % width);
    let gate = number(gate, row, column);
    let up = number(up, row, column);
    output[place] = gate * sigmoid(slope(gate, is_silu)) * up;
}

#[cube(launch)]
fn derived(
    gate: &Tensor<f32>,
    up: &Tensor<f32>,
    by_output: &Tensor<f32>,
    by_gate: &mut Tensor<f32>,
    by_up: &mut Tensor<f32>,
    #[comptime] is_silu: bool,
) {
    let (place, width) = (ABSOLUTE_POS, gate.shape(1));
    if place >= gate.shape(0) * width {
        terminate!();
    }
    let (row, column) = (place / width, place % width);
    let gate = number(gate, row, column);
    let up = number(up, row, column);
    let by_output = number(by_output, row, column);
    let open = sigmoid(slope(gate, is_silu));
    let steepness =
        if comptime!(is_silu) { f32::new(1.0) } else { GELU_LINEAR * (1.0 + 3.0 * GELU_CUBIC * gate * gate) };
    by_up[place] = by_output * gate * open;
    by_gate[place] = by_output * up * open * (1.0 + gate * steepness * (1.0 - open));
}

/// `s` of [`gated`](crate::fused::gated): since `(1 + tanh x) / 2 = σ(2x)`, GELU is a sigmoid too.
#[cube]
fn slope(gate: f32, #[comptime] is_silu: bool) -> f32 {
    if comptime!(is_silu) { gate } else { GELU_LINEAR * gate * (1.0 + GELU_CUBIC * gate * gate) }
}

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
