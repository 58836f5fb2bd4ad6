//! Matrix products whose factors are rounded to bf16 and whose sums are 32-bit floats, as mixed-precision training has them
//! (Micikevicius et al. 2018, arXiv 1710.03740; Kalamkar et al. 2019, arXiv 1905.12322).
//!
//! gemmkit has kernels for processors with AVX-512 BF16 and computes the same, slower, on others. It rounds what a product
//! gives to bf16 too, as PyTorch's autocast does.

use gemmkit::{MatMut, MatRef, Parallelism, bf16, gemm};
use rayon::prelude::*;

use super::{CHUNK, tensor};
use crate::numbers::{Floats, compact, slice};

/// A factor, rounded.
pub(super) struct Factor {
    numbers: Vec<bf16>,
    rows: usize,
    columns: usize,
    /// Steps in memory from one row to the next, and from one column to the next.
    strides: [isize; 2],
}

impl Factor {
    pub(super) fn new(matrix: Floats) -> Self {
        let shape = matrix.layout().shape();
        let (rows, columns) = (shape[0], shape[1]);
        let is_transposed = matrix.layout().strides() == [1, rows as isize];
        let (numbers, strides) = if is_transposed {
            let start = matrix.layout().start_offset();
            (rounded(&matrix.storage::<f32>()[start..][..rows * columns]), [1, rows as isize])
        } else {
            (rounded(slice(&compact(matrix))), [columns as isize, 1])
        };
        Self { numbers, rows, columns, strides }
    }

    /// The matrix as it is.
    pub(super) fn plain(&self) -> MatRef<'_, bf16> {
        MatRef::new(&self.numbers, self.rows, self.columns, self.strides[0], self.strides[1])
    }

    /// The matrix transposed.
    pub(super) fn transposed(&self) -> MatRef<'_, bf16> {
        MatRef::new(&self.numbers, self.columns, self.rows, self.strides[1], self.strides[0])
    }
}

fn rounded(numbers: &[f32]) -> Vec<bf16> {
    let mut rounded = vec![bf16::ZERO; numbers.len()];
    rounded.par_chunks_mut(CHUNK).zip(numbers.par_chunks(CHUNK)).for_each(|(rounded, numbers)| {
        for (rounded, &number) in rounded.iter_mut().zip(numbers) {
            *rounded = round(number);
        }
    });
    rounded
}

/// `one · two`, rows first.
pub(super) fn product(one: MatRef<'_, bf16>, two: MatRef<'_, bf16>) -> Floats {
    let (rows, columns) = (one.rows(), two.cols());
    let mut rounded = vec![bf16::ZERO; rows * columns];
    let output = MatMut::from_row_major(&mut rounded, rows, columns);
    gemm(bf16::ONE, one, two, bf16::ZERO, output, Parallelism::Rayon(rayon::current_num_threads()));
    let mut numbers = vec![0.0; rounded.len()];
    numbers.par_chunks_mut(CHUNK).zip(rounded.par_chunks(CHUNK)).for_each(|(numbers, rounded)| {
        for (number, rounded) in numbers.iter_mut().zip(rounded) {
            *number = f32::from_bits(u32::from(rounded.to_bits()) << 16);
        }
    });
    tensor(numbers, [rows, columns])
}

/// To the nearest number, of two equally near to the even one; written so that compilers make vector code of loops over it.
fn round(number: f32) -> bf16 {
    let bits = number.to_bits();
    let nearest = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1))) >> 16;
    // What is no number could be rounded up to one.
    let not_a_number = (bits >> 16) | 0x40;
    bf16::from_bits(if number.is_nan() { not_a_number } else { nearest } as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_the_half_crates() {
        let mut bits = 0_u32;
        for _ in 0..2_000_000 {
            let number = f32::from_bits(bits);
            let (found, expected) = (round(number), bf16::from_f32(number));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{bits:x}");
            bits = bits.wrapping_add(2_147);
        }
        for number in
            [f32::NAN, f32::from_bits(0x7fff_ffff), f32::from_bits(0xffff_ffff), f32::INFINITY, f32::MAX]
        {
            let (found, expected) = (round(number), bf16::from_f32(number));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{number}");
        }
    }
}
