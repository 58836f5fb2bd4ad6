//! The ceiling of training: how fast matrix products are here.

use std::time::Instant;

use burn::tensor::Device;

use crate::{numbers::matrix, product::product, settings::Products};

/// Rows and columns of the factors.
const SIDE: usize = 2048;

/// GFLOP/s of the fastest of ten products of two matrices of 2048 × 2048 on the processor, as training computes them: with
/// rounding, where factors are rounded. No training step can pass it.
pub fn best_product(products: Products) -> f64 {
    let numbers = (0..SIDE * SIDE).map(|i| (i as f32 * 0.37).sin()).collect();
    let factor = matrix(numbers, [SIDE, SIDE], &Device::flex());
    let seconds = (0..10).map(|_| {
        let start = Instant::now();
        std::hint::black_box(product(factor.clone(), factor.clone(), products));
        start.elapsed().as_secs_f64()
    });
    2.0 * (SIDE as f64).powi(3) / seconds.fold(f64::INFINITY, f64::min) / 1e9
}
