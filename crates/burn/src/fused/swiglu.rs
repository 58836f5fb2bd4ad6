//! `SwiGLU`: `y = g · σ(g) · u` with `σ(g) = 1 / (1 + exp(−g))`.
//!
//! The derivative of `g σ(g)` is `σ(g) · (1 + g · (1 − σ(g)))`.

use rayon::prelude::*;

use super::{CHUNK, tensor};
use crate::{
    exp::exp,
    numbers::{Floats, compact, slice},
};

pub(super) fn forward(gate: Floats, up: Floats) -> Floats {
    let shape = shape(&gate);
    let (gate, up) = (compact(gate), compact(up));
    let (gate, up) = (slice(&gate), slice(&up));
    let mut output = vec![0.0; gate.len()];
    output.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(
        |((output, gate), up)| {
            for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate * sigmoid(gate) * up;
            }
        },
    );
    tensor(output, shape)
}

/// The derivatives by `gate` and by `up`.
pub(super) fn backward(gate: Floats, up: Floats, by_output: Floats) -> (Floats, Floats) {
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
                let sigmoid = sigmoid(gate);
                *by_up = by * gate * sigmoid;
                *by_gate = by * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
            }
        });
    (tensor(by_gate, shape), tensor(by_up, shape))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn shape(states: &Floats) -> [usize; 2] {
    let shape = states.layout().shape();
    [shape[0], shape[1]]
}
