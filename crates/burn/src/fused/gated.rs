//! Gated activations of tensors ([`lancer_kernels::gated`]), and what the layer after one saves for the backward pass.

use burn::tensor::Tensor;
use lancer_kernels::gated;
use lancer_model::Activation;

use super::tensor;
use crate::numbers::{Floats, compact, is_here, primitive, slice};

/// The inputs of a gated activation. The activation is computed again where it is needed again: saving it would take half as
/// much memory once more.
#[derive(Debug, Clone)]
pub(crate) struct Gated {
    gate: Floats,
    up: Floats,
    activation: Activation,
}

/// The input of a linear layer, as the layer saves it for the backward pass.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Tensor(Floats),
    Gated(Gated),
}

impl Gated {
    /// The inputs of `gated(gate, up, activation)`, where they are in this program's memory and a backward pass may follow.
    pub(crate) fn of(gate: &Tensor<2>, up: &Tensor<2>, activation: Activation) -> Option<Self> {
        let numbers = |states: &Tensor<2>| primitive(states.clone().inner());
        let is_saved = is_here(gate) && gate.is_autodiff() && up.is_autodiff();
        is_saved.then(|| Self { gate: numbers(gate), up: numbers(up), activation })
    }
}

impl Input {
    /// Saves `states`, which a gated activation may have given.
    pub(super) fn new(states: Floats, gate: Option<Gated>) -> Self {
        gate.map_or(Self::Tensor(states), Self::Gated)
    }

    pub(super) fn numbers(self) -> Floats {
        match self {
            Self::Tensor(numbers) => numbers,
            Self::Gated(Gated { gate, up, activation }) => forward(gate, up, activation),
        }
    }
}

pub(super) fn forward(gate: Floats, up: Floats, activation: Activation) -> Floats {
    let shape = shape(&gate);
    let (gate, up) = (compact(gate), compact(up));
    tensor(gated::forward(slice(&gate), slice(&up), of_kernels(activation)), shape)
}

/// The derivatives by `gate` and by `up`.
pub(super) fn backward(gate: Floats, up: Floats, activation: Activation, by_output: Floats) -> [Floats; 2] {
    let shape = shape(&gate);
    let [gate, up, by_output] = [gate, up, by_output].map(compact);
    gated::backward(slice(&gate), slice(&up), of_kernels(activation), slice(&by_output))
        .map(|numbers| tensor(numbers, shape))
}

fn of_kernels(activation: Activation) -> gated::Activation {
    match activation {
        Activation::Silu => gated::Activation::Silu,
        Activation::GeluTanh => gated::Activation::GeluTanh,
    }
}

fn shape(states: &Floats) -> [usize; 2] {
    let shape = states.layout().shape();
    [shape[0], shape[1]]
}
