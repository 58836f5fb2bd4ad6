//! Measures the best matrix product, which no training step can pass: as JSON, GFLOP/s in 32-bit floats and with factors in
//! bf16.

use lancer_burn::{Products, best_product};

fn main() {
    lancer_memory::keep_freed_memory();
    println!(
        "{{\"f32\": {:.1}, \"bf16\": {:.1}}}",
        best_product(Products::F32),
        best_product(Products::Bf16)
    );
}
