//! A linear layer without an adapter, `y = x W`. With `dy` the gradient by `y`: `dx = dy Wᵀ`, `dW = xᵀ dy`.

use lancer_kernels::matmul::{RoundedView, multiply_rounded};

use super::{gated::Input, matrix};
use crate::{
    numbers::{Floats, primitive, rounded, tensor},
    settings::Products,
};

/// The tensors that the backward pass needs. Factors that are rounded are saved as 32-bit floats, which other steps save too, and
/// are rounded again.
#[derive(Debug, Clone)]
pub(crate) struct SavedLinear {
    /// `x: [rows, input]`.
    pub(super) states: Input,
    /// `W: [input, output]`.
    pub(super) weight: Floats,
    pub(super) products: Products,
}

/// `[rows, output]`.
pub(super) fn forward(states: Floats, weight: Floats, products: Products) -> Floats {
    match products {
        Products::F32 => primitive(matrix(states).matmul(matrix(weight))),
        Products::Bf16 => product(rounded(states).plain(), rounded(weight).plain()),
    }
}

/// The gradients by states and weight, those that are wanted.
pub(super) fn backward(saved: SavedLinear, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
    let SavedLinear { states, weight, products } = saved;
    let [wants_states, wants_weight] = wants;
    match products {
        Products::F32 => {
            let by_output = matrix(by_output);
            let by_states = wants_states.then(|| by_output.clone().matmul(matrix(weight).transpose()));
            let by_weight = wants_weight.then(|| matrix(states.numbers()).transpose().matmul(by_output));
            [by_states, by_weight].map(|by| by.map(primitive))
        }
        Products::Bf16 => {
            let by_output = rounded(by_output);
            let by_states = wants_states.then(|| product(by_output.plain(), rounded(weight).transposed()));
            let by_weight =
                wants_weight.then(|| product(rounded(states.numbers()).transposed(), by_output.plain()));
            [by_states, by_weight]
        }
    }
}

fn product(one: RoundedView<'_>, two: RoundedView<'_>) -> Floats {
    let shape = [one.rows(), two.columns()];
    tensor(multiply_rounded(one, two), shape)
}
