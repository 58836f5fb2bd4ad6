//! Gated activations: `y = g · σ(s(g)) · u` with `σ(x) = 1 / (1 + exp(−x))`.
//!
//! `s(g) = g` gives `SiLU`, `s(g) = 2 √(2/π) (g + 0.044715 g³)` the tanh approximation of GELU (Hendrycks & Gimpel 2016, arXiv
//! 1606.08415), since `(1 + tanh x) / 2 = σ(2x)`. The derivative of `g σ(s)` is `σ(s) · (1 + g · s′(g) · (1 − σ(s)))`.

use rayon::prelude::*;

use crate::{CHUNK, exp::exp};

/// The function through which the gate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `g · σ(g)`.
    Silu,
    /// The tanh approximation of GELU.
    GeluTanh,
}

/// `s` and its derivative, in a type, so that the compiler makes a loop for each activation.
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
pub const GELU_LINEAR: f32 = 1.595_769;
/// The factor of the cube of the gate in GELU.
pub const GELU_CUBIC: f32 = 0.044_715;

impl Slope for GeluTanh {
    fn value(gate: f32) -> f32 {
        GELU_LINEAR * gate * (1.0 + GELU_CUBIC * gate * gate)
    }

    fn derivative(gate: f32) -> f32 {
        GELU_LINEAR * (1.0 + 3.0 * GELU_CUBIC * gate * gate)
    }
}

/// `activation(gate) · up`, number by number.
pub fn forward(gate: &[f32], up: &[f32], activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Silu => forward_of::<Silu>(gate, up),
        Activation::GeluTanh => forward_of::<GeluTanh>(gate, up),
    }
}

/// The derivatives by `gate` and by `up`.
pub fn backward(gate: &[f32], up: &[f32], activation: Activation, by_output: &[f32]) -> [Vec<f32>; 2] {
    match activation {
        Activation::Silu => backward_of::<Silu>(gate, up, by_output),
        Activation::GeluTanh => backward_of::<GeluTanh>(gate, up, by_output),
    }
}

fn forward_of<S: Slope>(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; gate.len()];
    output.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(
        |((output, gate), up)| {
            for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate * sigmoid(S::value(gate)) * up;
            }
        },
    );
    output
}

fn backward_of<S: Slope>(gate: &[f32], up: &[f32], by_output: &[f32]) -> [Vec<f32>; 2] {
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
    [by_gate, by_up]
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::waves;

    #[test]
    fn both_are_their_formulas() {
        let (gate, up) = (waves(70, 0.1), waves(70, 0.2));
        let silu = |g: f64| g / (1.0 + (-g).exp());
        let gelu = |g: f64| {
            0.5 * g * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (g + 0.044_715 * g.powi(3))).tanh())
        };
        let formulas: [(Activation, &dyn Fn(f64) -> f64); 2] =
            [(Activation::Silu, &silu), (Activation::GeluTanh, &gelu)];
        for (activation, formula) in formulas {
            let found = forward(&gate, &up, activation);
            let [by_gate, by_up] = backward(&gate, &up, activation, &[1.0; 70]);
            for place in 0..70 {
                let (g, u) = (f64::from(gate[place]), f64::from(up[place]));
                assert!((f64::from(found[place]) - formula(g) * u).abs() < 1e-6);
                assert!((f64::from(by_up[place]) - formula(g)).abs() < 1e-6);
                let slope = (formula(g + 1e-5) - formula(g - 1e-5)) / 2e-5;
                assert!((f64::from(by_gate[place]) - slope * u).abs() < 1e-5);
            }
        }
    }
}
