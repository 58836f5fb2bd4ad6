//! RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467): `y = x · r · w` with `r = 1 / √(mean(x²) + ε)`.
//!
//! With `g` the gradient by `y` and `u = x · r`, the gradient by `x` is `r · (g w − u / width · Σ(g w u))`, and the gradient by `w`
//! is the sum of `g u` over the rows. `u` is `y / w`, so the backward pass can start from `y`, which the products after a norm
//! need too, unless a weight is too small.

use rayon::prelude::*;

use crate::vector::dot;

/// Rows that one thread takes at a time. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 32;

/// A smaller weight takes digits from the numbers that it is multiplied with, or all of them.
const SMALLEST_WEIGHT: f32 = 1e-15;

/// The activations from which the backward pass computes `u`.
#[derive(Debug, Clone, Copy)]
pub enum Saved<'a> {
    /// The norm's output; only where [`is_invertible`] says so of the weight.
    Output(&'a [f32]),
    /// The norm's input.
    Input(&'a [f32]),
}

/// Whether the input can be computed from the output: no weight is near 0.
pub fn is_invertible(weight: &[f32]) -> bool {
    !weight.iter().any(|weight| weight.abs() < SMALLEST_WEIGHT)
}

/// The norm of each row of `states: [rows, width]` with `weight: [width]`: the output, and `r` of each row.
pub fn forward(states: &[f32], weight: &[f32], epsilon: f64) -> (Vec<f32>, Vec<f32>) {
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
    (output, inverse)
}

/// The gradients by states and, where `wants_weight`, by weight. `inverse` is `r` of each row.
pub fn backward(
    weight: &[f32],
    inverse: &[f32],
    saved: Saved<'_>,
    by_output: &[f32],
    wants_weight: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let width = weight.len();
    // The factors that make `u` of a row: one for each number, and one for the whole row.
    let (states, factors, of_row): (_, Vec<f32>, fn(f32) -> f32) = match saved {
        Saved::Output(output) => (output, weight.iter().map(|weight| weight.recip()).collect(), |_| 1.0),
        Saved::Input(input) => (input, vec![1.0; width], |r| r),
    };
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
        sum
    });
    (by_states, by_weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::waves;

    fn formula(states: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
        let mean: f64 = states.iter().map(|x| x * x).sum::<f64>() / states.len() as f64;
        states.iter().zip(weight).map(|(x, w)| x * w / (mean + epsilon).sqrt()).collect()
    }

    #[test]
    fn it_is_its_formula_and_its_derivative_from_input_and_output() {
        let wide = |numbers: &[f32]| numbers.iter().copied().map(f64::from).collect::<Vec<f64>>();
        let (states, weight, by) = (waves(24, 0.1), waves(24, 0.5), waves(24, 0.9));
        let (output, inverse) = forward(&states, &weight, 1e-3);
        for (found, expected) in output.iter().zip(formula(&wide(&states), &wide(&weight), 1e-3)) {
            assert!((f64::from(*found) - expected).abs() < 1e-6);
        }
        assert!(is_invertible(&weight) && !is_invertible(&[1.0, 0.0]));
        for saved in [Saved::Output(&output), Saved::Input(&states)] {
            let (by_states, by_weight) = backward(&weight, &inverse, saved, &by, true);
            for (place, found) in by_states.iter().enumerate() {
                let moved = |step: f64| -> f64 {
                    let mut states = wide(&states);
                    states[place] += step;
                    formula(&states, &wide(&weight), 1e-3)
                        .iter()
                        .zip(&by)
                        .map(|(y, g)| y * f64::from(*g))
                        .sum()
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}, expected {expected}");
            }
            for ((found, x), g) in by_weight.unwrap().iter().zip(&states).zip(&by) {
                assert!((found - x * inverse[0] * g).abs() < 1e-5);
            }
        }
    }
}
