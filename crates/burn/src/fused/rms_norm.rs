//! RMS norm: `y = x · r · w` with `r = 1 / √(mean(x²) + ε)`.
//!
//! With `g` the gradient by `y` and `u = x · r`, that by `x` is `r · (g w − u / width · Σ(g w u))`, and that by `w` is `Σ g u` over
//! the rows. `u` is `y / w`, so what is kept is `y`, which the products after a norm keep too, unless a weight is too small.

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
    inverse: Vec<f32>,
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    weight: Floats,
    /// `r` of each row.
    inverse: Vec<f32>,
    states: KeptStates,
}

/// What `u` is computed from.
#[derive(Debug, Clone)]
enum KeptStates {
    Output(Floats),
    Input(Floats),
}

/// A weight below this takes digits from what it is multiplied with, or all of it.
const SMALLEST_WEIGHT: f32 = 1e-15;

impl Normed {
    /// What to keep of the pass that gave this.
    pub(super) fn kept(&self, states: Floats, weight: Floats) -> Kept {
        let weight = compact(weight);
        let is_small = |weight: &f32| weight.abs() < SMALLEST_WEIGHT;
        let states = if slice(&weight).iter().any(is_small) {
            KeptStates::Input(states)
        } else {
            KeptStates::Output(self.output.clone())
        };
        Kept { weight, inverse: self.inverse.clone(), states }
    }
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

/// The gradients by states and, where it is wanted, weight.
pub(super) fn backward(kept: Kept, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
    let Kept { weight, inverse, states } = kept;
    let weight = slice(&weight);
    let width = weight.len();
    // By what a row is multiplied to be `u`, number by number, and all of it.
    let (states, factors, of_row): (_, Vec<f32>, fn(f32) -> f32) = match states {
        KeptStates::Output(output) => (output, weight.iter().map(|weight| weight.recip()).collect(), |_| 1.0),
        KeptStates::Input(input) => (input, vec![1.0; width], |r| r),
    };
    let (states, by_output) = (compact(states), compact(by_output));
    let (states, by_output) = (slice(&states), slice(&by_output));
    let mut by_states = vec![0.0; states.len()];
    let of_parts: Vec<Vec<f32>> = by_states
        .par_chunks_mut(ROWS * width)
        .zip(states.par_chunks(ROWS * width))
        .zip(by_output.par_chunks(ROWS * width))
        .zip(inverse.par_chunks(ROWS))
        .map(|(((by_states, states), by_output), inverse)| {
            let mut by_weight = vec![0.0; if wants_weight { width } else { 0 }];
            let mut unit = vec![0.0; width];
            let rows = by_states.chunks_exact_mut(width).zip(states.chunks_exact(width));
            for (((by_states, states), by_output), &r) in rows.zip(by_output.chunks_exact(width)).zip(inverse)
            {
                let of_row = of_row(r);
                for ((unit, state), factor) in unit.iter_mut().zip(states).zip(&factors) {
                    *unit = state * factor * of_row;
                }
                for ((by, gradient), weight) in by_states.iter_mut().zip(by_output).zip(weight) {
                    *by = gradient * weight;
                }
                let mean = dot(by_states, &unit) / width as f32;
                for (by, unit) in by_states.iter_mut().zip(&unit) {
                    *by = (*by - unit * mean) * r;
                }
                for ((sum, gradient), unit) in by_weight.iter_mut().zip(by_output).zip(&unit) {
                    *sum += gradient * unit;
                }
            }
            by_weight
        })
        .collect();
    let by_weight = wants_weight.then(|| {
        let mut sum = vec![0.0; width];
        for part in of_parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        tensor(sum, [1, width])
    });
    (tensor(by_states, [states.len() / width, width]), by_weight)
}
