//! A step of AdamW: a thread a weight.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{dims, floats, matrix, number, threads, writable};
use lancer_kernels::adamw::AdamWStep;

/// The new weights and moments, in place of those that nothing else holds.
pub(crate) fn adamw(
    known: [tensor::Tensor<2>; 3],
    gradient: &tensor::Tensor<2>,
    update: AdamWStep,
) -> [tensor::Tensor<2>; 3] {
    let all = known.map(writable);
    let numbers = dims(&all[0]).iter().product();
    if numbers > 0 {
        let [weights, first, second] = all.clone();
        let client = weights.client.clone();
        let (cubes, units) = threads(&weights, numbers);
        changed::launch(
            &client,
            cubes,
            units,
            weights.into_tensor_arg(),
            first.into_tensor_arg(),
            second.into_tensor_arg(),
            floats(gradient.clone()).into_tensor_arg(),
            update.gradient_scale,
            update.beta_1,
            update.beta_2,
            update.decay,
            update.step_size,
            update.correction,
            update.epsilon,
        );
    }
    all.map(matrix)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn changed(
    weights: &mut Tensor<f32>,
    first: &mut Tensor<f32>,
    second: &mut Tensor<f32>,
    gradient: &Tensor<f32>,
    gradient_scale: f32,
    beta_1: f32,
    beta_2: f32,
    decay: f32,
    step_size: f32,
    correction: f32,
    epsilon: f32,
) {
    let (place, width) = (ABSOLUTE_POS, weights.shape(1));
    if place >= weights.shape(0) * width {
        terminate!();
    }
    let (row, column) = (place / width, place % width);
    let gradient = number(gradient, row, column) * gradient_scale;
    let of_first = row * first.stride(0) + column * first.stride(1);
    let of_second = row * second.stride(0) + column * second.stride(1);
    let of_weights = row * weights.stride(0) + column * weights.stride(1);
    let mean = first[of_first] + (gradient - first[of_first]) * (1.0 - beta_1);
    let square = second[of_second] * beta_2 + gradient * gradient * (1.0 - beta_2);
    first[of_first] = mean;
    second[of_second] = square;
    weights[of_weights] =
        weights[of_weights] * decay - step_size * (mean / (square.sqrt() / correction + epsilon));
}
