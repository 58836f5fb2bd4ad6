//! RMS norm: `y = x · r · w` with `r = 1 / √(mean(x²) + ε)`.
//!
//! With `g` the gradient by `y`, that by `x` is `r · (g w) − x · r³ / width · Σ(g w x)`, and that by `w` is `Σ g x r` over
//! the rows.

use rayon::prelude::*;

use super::tensor;
use crate::{
    dot::dot,
    numbers::{Floats, compact, slice},
};

/// Rows that one thread takes at a time. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 32;

/// What the forward pass gives.
pub(super) struct Normed {
    pub(super) output: Floats,
    /// `r` of each row.
    pub(super) inverse: Vec<f32>,
}

/// The derivatives of one pass back.
pub(super) struct Derivatives {
    pub(super) states: Floats,
    pub(super) weight: Option<Floats>,
}

pub(super) fn forward(states: Floats, weight: Floats, epsilon: f64) -> Normed {
    let (states, weight) = (compact(states), compact(weight));
    let (states, weight) = (slice(&states), slice(&weight));
    let width = weight.len();
    let rows = states.len() / width;
    let (mut output, mut inverse) = (vec![0.0; states.len()], vec![0.0; rows]);
    output
        .par_chunks_mut(ROWS * width)
        .zip(inverse.par_chunks_mut(ROWS))
        .zip(states.par_chunks(ROWS * width))
        .for_each(|((output, inverse), states)| {
            let rows = output.chunks_exact_mut(width).zip(states.chunks_exact(width)).zip(inverse);
            for ((output, states), inverse) in rows {
                let mean_square = dot(states, states) / width as f32;
                *inverse = (f64::from(mean_square) + epsilon).sqrt().recip() as f32;
                for ((output, state), weight) in output.iter_mut().zip(states).zip(weight) {
                    *output = state * *inverse * weight;
                }
            }
        });
    Normed { output: tensor(output, [rows, width]), inverse }
}

pub(super) fn backward(
    states: Floats,
    weight: Floats,
    inverse: &[f32],
    by_output: Floats,
    wants_weight: bool,
) -> Derivatives {
    let (states, weight, by_output) = (compact(states), compact(weight), compact(by_output));
    let (states, weight, by_output) = (slice(&states), slice(&weight), slice(&by_output));
    let width = weight.len();
    let mut by_states = vec![0.0; states.len()];
    let by_weight: Vec<Vec<f32>> = by_states
        .par_chunks_mut(ROWS * width)
        .zip(states.par_chunks(ROWS * width))
        .zip(by_output.par_chunks(ROWS * width))
        .zip(inverse.par_chunks(ROWS))
        .map(|(((by_states, states), by_output), inverse)| {
            let mut by_weight = vec![0.0; if wants_weight { width } else { 0 }];
            let rows = by_states.chunks_exact_mut(width).zip(states.chunks_exact(width));
            for (((by_states, states), by_output), &r) in rows.zip(by_output.chunks_exact(width)).zip(inverse)
            {
                for ((by, gradient), weight) in by_states.iter_mut().zip(by_output).zip(weight) {
                    *by = gradient * weight;
                }
                let factor = dot(by_states, states) * r * r * r / width as f32;
                for (by, state) in by_states.iter_mut().zip(states) {
                    *by = *by * r - state * factor;
                }
                for ((sum, gradient), state) in by_weight.iter_mut().zip(by_output).zip(states) {
                    *sum += gradient * state * r;
                }
            }
            by_weight
        })
        .collect();
    let weight = wants_weight.then(|| {
        let mut sum = vec![0.0; width];
        for part in by_weight {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        tensor(sum, [1, width])
    });
    Derivatives { states: tensor(by_states, [states.len() / width, width]), weight }
}
