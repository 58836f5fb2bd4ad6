//! A step of AdamW: a thread a weight.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{beside, floats, matrix, threads};
use crate::training::Update;

/// The new weights and moments.
pub(crate) fn adamw(
    known: [tensor::Tensor<2>; 3],
    gradient: &tensor::Tensor<2>,
    update: Update,
) -> [tensor::Tensor<2>; 3] {
    let [rows, width] = known[0].dims();
    if rows * width == 0 {
        return known;
    }
    let [weights, first, second] = known.map(floats);
    let gradient = floats(gradient.clone());
    let outputs = [(); 3].map(|()| beside(&weights, [rows, width]));
    let [new_weights, new_first, new_second] = outputs.clone();
    let client = weights.client.clone();
    let (cubes, units) = threads(&weights, rows * width);
    changed::launch(
        &client,
        cubes,
        units,
        weights.into_tensor_arg(),
        first.into_tensor_arg(),
        second.into_tensor_arg(),
        gradient.into_tensor_arg(),
        new_weights.into_tensor_arg(),
        new_first.into_tensor_arg(),
        new_second.into_tensor_arg(),
        update.gradient_scale,
        update.beta_1,
        update.beta_2,
        update.kept,
        update.step_size,
        update.correction,
        update.epsilon,
    );
    outputs.map(matrix)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn changed(
    weights: &Tensor<f32>,
    first: &Tensor<f32>,
    second: &Tensor<f32>,
    gradient: &Tensor<f32>,
    new_weights: &mut Tensor<f32>,
    new_first: &mut Tensor<f32>,
    new_second: &mut Tensor<f32>,
    gradient_scale: f32,
    beta_1: f32,
    beta_2: f32,
    kept: f32,
    step_size: f32,
    correction: f32,
    epsilon: f32,
) {
    // Outputs are in one piece.
    let (place, width) = (ABSOLUTE_POS, weights.shape(1));
    if place >= weights.shape(0) * width {
        terminate!();
    }
    let (row, column) = (place / width, place % width);
    let gradient = gradient[row * gradient.stride(0) + column * gradient.stride(1)] * gradient_scale;
    let first = first[row * first.stride(0) + column * first.stride(1)];
    let second = second[row * second.stride(0) + column * second.stride(1)];
    let weight = weights[row * weights.stride(0) + column * weights.stride(1)];
    let first = first + (gradient - first) * (1.0 - beta_1);
    let second = second * beta_2 + gradient * gradient * (1.0 - beta_2);
    new_first[place] = first;
    new_second[place] = second;
    new_weights[place] = weight * kept - step_size * (first / (second.sqrt() / correction + epsilon));
}
