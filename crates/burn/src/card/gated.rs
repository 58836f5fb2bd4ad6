//! A gated activation: a thread a number.

use burn::{cubecl, tensor};
use cubecl::prelude::*;
use lancer_model::Activation;

use super::{beside, in_rows, threads, written};

/// As [`gated`](crate::fused::gated).
pub(crate) fn gated(
    gate: &tensor::Tensor<2>,
    up: &tensor::Tensor<2>,
    activation: Activation,
) -> Option<tensor::Tensor<2>> {
    let [rows, width] = gate.dims();
    if rows == 0 {
        return None;
    }
    let (gate, up) = (in_rows(gate)?, in_rows(up)?);
    let output = beside(&gate, [rows, width]);
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
    Some(written(output))
}

#[cube(launch)]
fn activated(gate: &Tensor<f32>, up: &Tensor<f32>, output: &mut Tensor<f32>, #[comptime] is_silu: bool) {
    let (place, width) = (ABSOLUTE_POS, gate.shape(1));
    if place >= gate.shape(0) * width {
        terminate!();
    }
    let (row, column) = (place / width, place % width);
    let gate = gate[row * gate.stride(0) + column];
    // `(1 + tanh x) / 2 = σ(2x)`.
    let slope = if comptime!(is_silu) { gate } else { 1.595_769 * (gate + 0.044_715 * gate * gate * gate) };
    let to = row * output.stride(0) + column;
    output[to] = gate / (1.0 + (-slope).exp()) * up[row * up.stride(0) + column];
}
