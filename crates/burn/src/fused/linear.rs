//! A linear layer without an adapter, `y = x W`. With `dy` the gradient by `y`: `dx = dy Wᵀ`, `dW = xᵀ dy`.

use super::{
    gated::States,
    matrix,
    rounded::{Factor, product},
};
use crate::{
    numbers::{Floats, primitive},
    settings::Products,
};

/// What the backward pass needs. Factors that are rounded are kept as 32-bit floats, which other steps keep too, and are
/// rounded again.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// `x: [rows, input]`.
    pub(super) states: States,
    /// `W: [input, output]`.
    pub(super) weight: Floats,
    pub(super) products: Products,
}

/// `[rows, output]`.
pub(super) fn forward(states: Floats, weight: Floats, products: Products) -> Floats {
    match products {
        Products::F32 => primitive(matrix(states).matmul(matrix(weight))),
        Products::Bf16 => product(Factor::new(states).plain(), Factor::new(weight).plain()),
    }
}

/// The gradients by states and weight, those that are wanted.
pub(super) fn backward(kept: Kept, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
    let Kept { states, weight, products } = kept;
    let [wants_states, wants_weight] = wants;
    match products {
        Products::F32 => {
            let by_output = matrix(by_output);
            let by_states = wants_states.then(|| by_output.clone().matmul(matrix(weight).transpose()));
            let by_weight = wants_weight.then(|| matrix(states.numbers()).transpose().matmul(by_output));
            [by_states, by_weight].map(|by| by.map(primitive))
        }
        Products::Bf16 => {
            let by_output = Factor::new(by_output);
            let by_states =
                wants_states.then(|| product(by_output.plain(), Factor::new(weight).transposed()));
            let by_weight =
                wants_weight.then(|| product(Factor::new(states.numbers()).transposed(), by_output.plain()));
            [by_states, by_weight]
        }
    }
}
