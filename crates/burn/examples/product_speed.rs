//! Measures the best matrix product, which no training step can pass: as JSON, GFLOP/s in 32-bit floats (by the device) and
//! in bf16 (by gemmkit).

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use gemmkit::{MatMut, MatRef, Parallelism, bf16, gemm};

/// Rows and columns of the factors.
const SIDE: usize = 2048;

fn main() {
    let numbers: Vec<f32> = (0..SIDE * SIDE).map(|i| (i as f32 * 0.37).sin()).collect();
    let matrix = Tensor::<2>::from_data(TensorData::new(numbers.clone(), [SIDE, SIDE]), &Device::flex());
    let floats = best(|| {
        let product = matrix.clone().matmul(matrix.clone());
        assert_eq!(product.dims(), [SIDE, SIDE]);
    });
    let rounded: Vec<bf16> = numbers.iter().map(|&number| bf16::from_f32(number)).collect();
    let mut output = vec![bf16::ZERO; SIDE * SIDE];
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let halves = best(|| {
        let factor = || MatRef::from_row_major(&rounded, SIDE, SIDE);
        let output = MatMut::from_row_major(&mut output, SIDE, SIDE);
        gemm(bf16::ONE, factor(), factor(), bf16::ZERO, output, Parallelism::Rayon(threads));
    });
    println!("{{\"f32\": {floats:.1}, \"bf16\": {halves:.1}}}");
}

/// GFLOP/s of the fastest of some products.
fn best(mut product: impl FnMut()) -> f64 {
    let seconds = (0..10).map(|_| {
        let start = Instant::now();
        product();
        start.elapsed().as_secs_f64()
    });
    2.0 * (SIDE as f64).powi(3) / seconds.fold(f64::INFINITY, f64::min) / 1e9
}
