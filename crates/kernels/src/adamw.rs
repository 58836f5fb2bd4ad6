//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), as PyTorch computes it, and the sum of squares by which gradients are clipped.

use rayon::prelude::*;

/// Numbers that one thread takes at a time. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 16;

/// One step of one weight matrix: the factors that are the same for each of its numbers.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// The gradient is multiplied by this, which clips it.
    pub gradient_scale: f32,
    /// How much of the mean of gradients stays.
    pub beta_1: f32,
    /// How much of the mean of squared gradients stays.
    pub beta_2: f32,
    /// The factor of a weight that decay leaves.
    pub decay: f32,
    /// The learning rate, divided by `1 - beta_1^steps`.
    pub step_size: f32,
    /// `√(1 - beta_2^steps)`.
    pub correction: f32,
    /// The number that keeps the denominator from 0.
    pub epsilon: f32,
}

impl AdamWStep {
    /// Changes the weights and the means of gradients and of their squares, all of one length, in all threads.
    pub fn apply(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        weights
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .for_each(|(((weights, gradient), first), second)| {
                self.change(weights, gradient, first, second);
            });
    }

    fn change(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let moments = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * self.gradient_scale;
            *first += (gradient - *first) * (1.0 - self.beta_1);
            *second = *second * self.beta_2 + gradient * gradient * (1.0 - self.beta_2);
            let denominator = second.sqrt() / self.correction + self.epsilon;
            *weight = *weight * self.decay - self.step_size * (*first / denominator);
        }
    }
}

/// `Σ g²`, in 64-bit floats.
pub fn sum_of_squares(gradient: &[f32]) -> f64 {
    let square = |chunk: &[f32]| -> f64 { chunk.iter().map(|&g| f64::from(g) * f64::from(g)).sum() };
    let squares: Vec<f64> = gradient.par_chunks(CHUNK).map(square).collect();
    squares.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_its_formula() {
        let step = AdamWStep {
            gradient_scale: 0.5,
            beta_1: 0.9,
            beta_2: 0.99,
            decay: 0.98,
            step_size: 0.1,
            correction: 0.7,
            epsilon: 1e-8,
        };
        let ([mut weight], [mut first], [mut second]) = ([2.0_f32], [0.3_f32], [0.4_f32]);
        step.apply(
            std::slice::from_mut(&mut weight),
            &[1.6],
            std::slice::from_mut(&mut first),
            std::slice::from_mut(&mut second),
        );
        let (expected_first, expected_second) = (0.9 * 0.3 + 0.1 * 0.8, 0.99 * 0.4 + 0.01 * 0.64_f64);
        assert!((f64::from(first) - expected_first).abs() < 1e-6);
        assert!((f64::from(second) - expected_second).abs() < 1e-6);
        let expected = 2.0 * 0.98 - 0.1 * expected_first / (expected_second.sqrt() / 0.7);
        assert!((f64::from(weight) - expected).abs() < 1e-6, "{weight}, expected {expected}");
        assert!((sum_of_squares(&[3.0, 4.0]) - 25.0).abs() < 1e-12);
    }
}
