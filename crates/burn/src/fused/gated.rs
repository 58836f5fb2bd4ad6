//! A gated activation: `y = g · σ(s(g)) · u` with `σ(x) = 1 / (1 + exp(−x))`.
//!
//! `s(g) = g` gives `SiLU`, `s(g) = 2 √(2/π) (g + 0.044715 g³)` the tanh approximation of GELU (Hendrycks & Gimpel 2016, arXiv
//! 1606.08415), since `(1 + tanh x) / 2 = σ(2x)`. The derivative of `g σ(s)` is `σ(s) · (1 + g · s′(g) · (1 − σ(s)))`.

use burn::tensor::Tensor;
use lancer_model::Activation;
use rayon::prelude::*;

use super::{CHUNK, tensor};
use crate::{
    exp::exp,
    numbers::{Floats, compact, is_here, primitive, slice},
};

/// `s` and its derivative, as a type so that each activation has loops of its own.
trait Slope {
    fn value(gate: f32) -> f32;
    fn derivative(gate: f32) -> f32;
}

struct Silu;

impl Slope for Silu {
    fn value(gate: f32) -> f32 {
        gate
    }

    fn derivative(_: f32) -> f32 {
        1.0
    }
}

struct GeluTanh;

/// `2 √(2/π)`.
pub(crate) const LINEAR: f32 = 1.595_769;
/// What the cube of the gate is taken times.
pub(crate) const CUBIC: f32 = 0.044_715;

impl Slope for GeluTanh {
    fn value(gate: f32) -> f32 {
        LINEAR * gate * (1.0 + CUBIC * gate * gate)
    }

    fn derivative(gate: f32) -> f32 {
        LINEAR * (1.0 + 3.0 * CUBIC * gate * gate)
    }
}

/// What a gated activation was computed from. It is computed again where it is needed again: kept, it would be half as much
/// once more.
#[derive(Debug, Clone)]
pub(crate) struct Gated {
    gate: Floats,
    up: Floats,
    activation: Activation,
}

/// What a linear layer keeps of the states that went into it.
#[derive(Debug, Clone)]
pub(crate) enum States {
    Kept(Floats),
    Gated(Gated),
}

impl Gated {
    /// That of `gated(gate, up, activation)`, where its numbers stand here and a backward pass may follow.
    pub(crate) fn of(gate: &Tensor<2>, up: &Tensor<2>, activation: Activation) -> Option<Self> {
        let numbers = |states: &Tensor<2>| primitive(states.clone().inner());
        let is_kept = is_here(gate) && gate.is_autodiff() && up.is_autodiff();
        is_kept.then(|| Self { gate: numbers(gate), up: numbers(up), activation })
    }
}

impl States {
    /// What to keep of `states`, which may have been gated.
    pub(super) fn new(states: Floats, gate: Option<Gated>) -> Self {
        gate.map_or(Self::Kept(states), Self::Gated)
    }

    pub(super) fn numbers(self) -> Floats {
        match self {
            Self::Kept(numbers) => numbers,
            Self::Gated(Gated { gate, up, activation }) => forward(gate, up, activation),
        }
    }
}

pub(super) fn forward(gate: Floats, up: Floats, activation: Activation) -> Floats {
    match activation {
        Activation::Silu => forward_of::<Silu>(gate, up),
        Activation::GeluTanh => forward_of::<GeluTanh>(gate, up),
    }
}

/// The derivatives by `gate` and by `up`.
pub(super) fn backward(gate: Floats, up: Floats, activation: Activation, by_output: Floats) -> [Floats; 2] {
    match activation {
        Activation::Silu => backward_of::<Silu>(gate, up, by_output),
        Activation::GeluTanh => backward_of::<GeluTanh>(gate, up, by_output),
    }
}

fn forward_of<S: Slope>(gate: Floats, up: Floats) -> Floats {
    let shape = shape(&gate);
    let (gate, up) = (compact(gate), compact(up));
    let (gate, up) = (slice(&gate), slice(&up));
    let mut output = vec![0.0; gate.len()];
    output.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(
        |((output, gate), up)| {
            for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate * sigmoid(S::value(gate)) * up;
            }
        },
    );
    tensor(output, shape)
}

fn backward_of<S: Slope>(gate: Floats, up: Floats, by_output: Floats) -> [Floats; 2] {
    let shape = shape(&gate);
    let (gate, up, by_output) = (compact(gate), compact(up), compact(by_output));
    let (gate, up, by_output) = (slice(&gate), slice(&up), slice(&by_output));
    let (mut by_gate, mut by_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    by_gate
        .par_chunks_mut(CHUNK)
        .zip(by_up.par_chunks_mut(CHUNK))
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .zip(by_output.par_chunks(CHUNK))
        .for_each(|(((by_gate, by_up), (gate, up)), by_output)| {
            let outputs = by_gate.iter_mut().zip(by_up);
            for (((by_gate, by_up), (&gate, &up)), &by) in outputs.zip(gate.iter().zip(up)).zip(by_output) {
                let sigmoid = sigmoid(S::value(gate));
                *by_up = by * gate * sigmoid;
                *by_gate = by * up * sigmoid * (1.0 + gate * S::derivative(gate) * (1.0 - sigmoid));
            }
        });
    [by_gate, by_up].map(|numbers| tensor(numbers, shape))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn shape(states: &Floats) -> [usize; 2] {
    let shape = states.layout().shape();
    [shape[0], shape[1]]
}
