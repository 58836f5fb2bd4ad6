//! A frozen linear layer with an adapter (LoRA; Hu et al. 2021, arXiv 2106.09685): `y = x W + s · x A B`.
//!
//! Over many rows it is cheaper to add `s · A B` to the weights, which takes one pass over them, than to the outputs; not
//! where weights are rounded, which would take the digits of what is added. With
//! `dy` the gradient by `y` and `h = s · dy Bᵀ`: `dx = dy (W + s A B)ᵀ`, `dA = xᵀ h`, `dB = s · (x A)ᵀ dy`. The gradient of
//! `W` is never formed.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{CHUNK, gated::Input, linear, matrix, product::products_of};
use crate::{
    numbers::{Floats, change, floats, primitive, read},
    settings::Products,
};

/// From so many rows on the adapter is added to the weights.
const MERGE_ROWS: usize = 256;

/// The layer and what goes through it.
#[derive(Debug, Clone)]
pub(crate) struct Adapted {
    /// `x: [rows, input]`.
    pub(super) states: Input,
    /// `W: [input, output]`.
    pub(super) weight: Floats,
    /// `A: [input, rank]`.
    pub(super) down: Floats,
    /// `B: [rank, output]`.
    pub(super) up: Floats,
    /// `s`.
    pub(super) scale: f64,
    pub(super) products: Products,
}

impl Adapted {
    /// `[rows, output]`.
    pub(super) fn forward(self) -> Floats {
        let Self { states, weight, down, up, scale, products } = self;
        let [states, weight, down, up] = [states.numbers(), weight, down, up].map(matrix);
        primitive(if is_beside(&states, products) {
            product(states.clone(), weight, products) + (states.matmul(down) * scale).matmul(up)
        } else {
            states.matmul(merged(&weight, down, up, scale))
        })
    }

    /// The gradients by `x`, where it is wanted, `A` and `B`.
    pub(super) fn backward(self, by_output: Floats, wants_states: bool) -> (Option<Floats>, [Floats; 2]) {
        let Self { states, weight, down, up, scale, products } = self;
        let [states, weight, down, up, by_output] =
            [states.numbers(), weight, down, up, by_output].map(matrix);
        let by_low = by_output.clone().matmul(up.clone().transpose()) * scale;
        let low = states.clone().matmul(down.clone()) * scale;
        let by_up = low.transpose().matmul(by_output.clone());
        let is_beside = is_beside(&states, products);
        let by_down = states.transpose().matmul(by_low.clone());
        let by_states = wants_states.then(|| {
            primitive(if is_beside {
                product(by_output, weight.transpose(), products) + by_low.matmul(down.transpose())
            } else {
                by_output.matmul(merged(&weight, down, up, scale).transpose())
            })
        });
        (by_states, [by_down, by_up].map(primitive))
    }
}

/// Whether `s · A B` is computed beside `W`, and not added to it.
fn is_beside(states: &Tensor<2>, products: Products) -> bool {
    products == Products::Bf16 || states.dims()[0] < MERGE_ROWS
}

/// `W + s A B`.
fn merged(weight: &Tensor<2>, down: Tensor<2>, up: Tensor<2>, scale: f64) -> Tensor<2> {
    change(down.matmul(up), |product| {
        read(weight, |weight| {
            product.par_chunks_mut(CHUNK).zip(weight.par_chunks(CHUNK)).for_each(|(product, weight)| {
                for (product, weight) in product.iter_mut().zip(weight) {
                    *product = weight + *product * scale as f32;
                }
            });
        });
    })
}

/// `states · weight`.
fn product(states: Tensor<2>, weight: Tensor<2>, products: Products) -> Tensor<2> {
    match products {
        Products::F32 => {
            let [output] = products_of(states, [weight]);
            output
        }
        Products::Bf16 => matrix(linear::forward(floats(states), floats(weight), products)),
    }
}
