//! A linear layer over a matrix that stays as it is in its file, `y = x Wᵀ`, and such a layer with an adapter (LoRA; Hu et al. 2021,
//! arXiv 2106.09685): `y = x Wᵀ + s · x A B`.
//!
//! With `dy` the gradient by `y` and `h = s · dy Bᵀ`: `dx = dy W + h Aᵀ`, `dA = xᵀ h`, `dB = s · (x A)ᵀ dy`. The gradient of `W` is
//! never formed, so that of the layer without an adapter nothing is kept.

use std::sync::Arc;

use super::{gated::Input, matrix};
use crate::{
    numbers::{Floats, primitive},
    settings::Products,
    stored_weight::StoredWeight,
};

/// `[rows, output]`.
pub(super) fn forward(states: Floats, weight: &StoredWeight, products: Products) -> Floats {
    weight.product(crate::numbers::compact(states), products)
}

/// The gradient by the states.
pub(super) fn backward(by_output: Floats, weight: &StoredWeight, products: Products) -> Floats {
    weight.product_back(&crate::numbers::compact(by_output), products)
}

/// The layer with its adapter, and what goes through it.
#[derive(Debug, Clone)]
pub(crate) struct AdaptedStored {
    /// `x: [rows, input]`.
    pub(super) states: Input,
    pub(super) weight: Arc<StoredWeight>,
    /// `A: [input, rank]`.
    pub(super) down: Floats,
    /// `B: [rank, output]`.
    pub(super) up: Floats,
    /// `s`.
    pub(super) scale: f64,
    pub(super) products: Products,
}

impl AdaptedStored {
    /// `[rows, output]`.
    pub(super) fn forward(self) -> Floats {
        let Self { states, weight, down, up, scale, products } = self;
        let states = states.numbers();
        let [down, up, of_adapter] = [down, up, states.clone()].map(matrix);
        let low = of_adapter.matmul(down) * scale;
        primitive(matrix(forward(states, &weight, products)) + low.matmul(up))
    }

    /// The gradients by `x`, where it is wanted, `A` and `B`.
    pub(super) fn backward(self, by_output: Floats, wants_states: bool) -> (Option<Floats>, [Floats; 2]) {
        let Self { states, weight, down, up, scale, products } = self;
        let [states, down, up] = [states.numbers(), down, up].map(matrix);
        let dy = matrix(by_output.clone());
        let by_low = dy.clone().matmul(up.transpose()) * scale;
        let by_up = (states.clone().matmul(down.clone()) * scale).transpose().matmul(dy);
        let by_down = states.transpose().matmul(by_low.clone());
        let by_states = wants_states.then(|| {
            let through_weight = matrix(backward(by_output, &weight, products));
            primitive(through_weight + by_low.matmul(down.transpose()))
        });
        (by_states, [by_down, by_up].map(primitive))
    }
}
