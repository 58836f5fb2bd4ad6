//! Matrix products whose factors are rounded to bf16 and whose sums are 32-bit floats, as mixed-precision training has them
//! (Micikevicius et al. 2018, arXiv 1710.03740; Kalamkar et al. 2019, arXiv 1905.12322).
//!
//! On processors with AMX the products are this crate's own. On others they are gemmkit's, which has kernels for AVX-512 BF16
//! and computes the same, slower, without; it rounds what a product gives to bf16 too, as PyTorch's autocast does.

use std::ops::Range;

use gemmkit::{MatMut, MatRef, Parallelism, bf16, gemm};
use rayon::prelude::*;

use super::{CHUNK, tensor};
use crate::{
    amx,
    numbers::{Floats, compact, slice},
};

/// A factor, rounded.
pub(crate) struct Factor {
    numbers: Vec<bf16>,
    rows: usize,
    columns: usize,
    /// Steps in memory from one row to the next, and from one column to the next.
    strides: [usize; 2],
}

/// A rounded matrix whose number `[row, column]` stands at `row · strides[0] + column · strides[1]`; one of them is 1.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) numbers: &'a [bf16],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) strides: [usize; 2],
}

impl Factor {
    pub(crate) fn new(matrix: Floats) -> Self {
        let shape = matrix.layout().shape();
        let (rows, columns) = (shape[0], shape[1]);
        let is_transposed = matrix.layout().strides() == [1, rows as isize];
        let (numbers, strides) = if is_transposed {
            let start = matrix.layout().start_offset();
            (rounded(&matrix.storage::<f32>()[start..][..rows * columns]), [1, rows])
        } else {
            (rounded(slice(&compact(matrix))), [columns, 1])
        };
        Self { numbers, rows, columns, strides }
    }

    /// The matrix as it is.
    pub(crate) fn plain(&self) -> View<'_> {
        let &Self { ref numbers, rows, columns, strides } = self;
        View { numbers, rows, columns, strides }
    }

    /// A matrix of these numbers, rows first.
    pub(crate) fn of(numbers: &[f32], [rows, columns]: [usize; 2]) -> Self {
        Self { numbers: rounded(numbers), rows, columns, strides: [columns, 1] }
    }

    /// Some columns of a matrix whose rows have `width` of them.
    pub(crate) fn of_columns(numbers: &[f32], width: usize, columns: Range<usize>) -> Self {
        let rows = numbers.chunks_exact(width).map(|row| &row[columns.clone()]);
        let (count, columns) = (rows.len(), columns.len());
        let numbers = rows.flatten().map(|&number| round(number)).collect();
        Self { numbers, rows: count, columns, strides: [columns, 1] }
    }

    /// The matrix transposed.
    pub(crate) fn transposed(&self) -> View<'_> {
        self.plain().transposed()
    }
}

impl<'a> View<'a> {
    /// The same numbers, rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let Self { numbers, rows, columns, strides: [row, column] } = self;
        Self { numbers, rows: columns, columns: rows, strides: [column, row] }
    }

    fn for_gemmkit(self) -> MatRef<'a, bf16> {
        let [row, column] = self.strides.map(|stride| stride as isize);
        MatRef::new(self.numbers, self.rows, self.columns, row, column)
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

/// `one · two`.
pub(crate) fn product(one: View<'_>, two: View<'_>) -> Floats {
    let shape = [one.rows, two.columns];
    tensor(amx::product(one, two).unwrap_or_else(|| product_of_gemmkit(one, two)), shape)
}

/// `one · two`, rows first.
fn product_of_gemmkit(one: View<'_>, two: View<'_>) -> Vec<f32> {
    let (rows, columns) = (one.rows, two.columns);
    let mut rounded = vec![bf16::ZERO; rows * columns];
    let output = MatMut::from_row_major(&mut rounded, rows, columns);
    let threads = Parallelism::Rayon(rayon::current_num_threads());
    gemm(bf16::ONE, one.for_gemmkit(), two.for_gemmkit(), bf16::ZERO, output, threads);
    let mut numbers = vec![0.0; rounded.len()];
    numbers.par_chunks_mut(CHUNK).zip(rounded.par_chunks(CHUNK)).for_each(|(numbers, rounded)| {
        for (number, rounded) in numbers.iter_mut().zip(rounded) {
            *number = widen(*rounded);
        }
    });
    numbers
}

/// To the nearest number, of two equally near to the even one; written so that compilers make vector code of loops over it.
pub(crate) fn round(number: f32) -> bf16 {
    let bits = number.to_bits();
    let nearest = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1))) >> 16;
    // What is no number could be rounded up to one.
    let not_a_number = (bits >> 16) | 0x40;
    bf16::from_bits(if number.is_nan() { not_a_number } else { nearest } as u16)
}

/// The same number; written so that compilers make vector code of loops over it.
pub(crate) fn widen(number: bf16) -> f32 {
    f32::from_bits(u32::from(number.to_bits()) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_products_are_the_same() {
        let numbers = |count: usize, phase: f32| -> Vec<bf16> {
            (0..count).map(|i| bf16::from_f32((i as f32 * 1.7 + phase).sin())).collect()
        };
        let (one, two) = (numbers(70 * 33, 0.1), numbers(33 * 50, 0.2));
        let one = View { numbers: &one, rows: 70, columns: 33, strides: [33, 1] };
        let two = View { numbers: &two, rows: 33, columns: 50, strides: [1, 33] };
        let found = product(one, two);
        for (found, expected) in slice(&found).iter().zip(product_of_gemmkit(one, two)) {
            assert!(
                (found - expected).abs() <= expected.abs() / 128.0 + 1e-5,
                "{found}, expected {expected}"
            );
        }
    }

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
