//! The same operations composed of Burn's own, for devices that this crate has no kernels for and, on cards, for
//! what is to be derived. Their derivatives are Burn's.

mod attention;

use burn::tensor::{DType, Tensor, activation};
use lancer_model::Activation;

pub(super) use self::attention::{Padded, attend};
use super::rotary::Turns;
use crate::{product::product, settings::Products};

/// `x / √(mean(x²) + ε) · w`.
pub(super) fn rms_norm(states: Tensor<2>, weight: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let mean_square = states.clone().square().mean_dim(1);
    states * (mean_square + epsilon).sqrt().recip() * weight
}

/// Turns the heads of `[rows, heads · head_dim]`.
pub(super) fn rotate(states: Tensor<2>, turns: &Turns) -> Tensor<2> {
    let [cosine, sine] = turns.tables(&states.device().inner());
    let ([rows, width], half) = (states.dims(), cosine.dims()[2]);
    let heads = states.reshape([rows, width / (2 * half), 2 * half]);
    let (first, second) = (heads.clone().narrow(2, 0, half), heads.narrow(2, half, half));
    let turned =
        [first.clone() * cosine.clone() - second.clone() * sine.clone(), second * cosine + first * sine];
    Tensor::cat(turned.into(), 2).reshape([rows, width])
}

/// `activation(gate) · up`.
pub(super) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    let activated = match activation {
        Activation::Silu => activation::silu(gate),
        Activation::GeluTanh => {
            // Burn's own takes the cube as a power, which graphics cards do not have of negative numbers.
            let cube = gate.clone() * gate.clone() * gate.clone();
            let inner = (gate.clone() + cube * 0.044_715) * std::f32::consts::FRAC_2_PI.sqrt();
            gate * (inner.tanh() + 1.0) * 0.5
        }
    };
    activated * up
}

/// `x W + s · x A B`.
pub(super) fn adapted(
    states: Tensor<2>,
    weight: Tensor<2>,
    [down, up]: [Tensor<2>; 2],
    scale: f64,
    products: Products,
) -> Tensor<2> {
    product(states.clone(), weight, products) + (states.matmul(down) * scale).matmul(up)
}

/// A product whose factors, where they are rounded to bf16, come out so too.
pub(super) fn linear(states: Tensor<2>, weight: Tensor<2>, products: Products) -> Tensor<2> {
    match products {
        Products::F32 => states.matmul(weight),
        Products::Bf16 => states.cast(DType::BF16).matmul(weight.cast(DType::BF16)).cast(DType::F32),
    }
}
