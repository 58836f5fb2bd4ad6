//! Matrix products whose factors are rounded to bf16 and whose sums are 32-bit floats, as mixed-precision training has them
//! (Micikevicius et al. 2018, arXiv 1710.03740; Kalamkar et al. 2019, arXiv 1905.12322).
//!
//! On processors with AMX the products are this crate's own. Other processors use gemmkit, which has kernels for AVX-512 BF16
//! and computes the same without it, but slower. gemmkit rounds the products to bf16 too, as PyTorch's autocast does.

use std::ops::Range;

use gemmkit::{MatMut, MatRef, Parallelism, gemm};
use rayon::prelude::*;

use super::amx;
use crate::{
    CHUNK,
    bf16::{bf16, round, rounded, widen},
};

/// A matrix that was rounded to bf16.
pub struct RoundedMatrix {
    numbers: Vec<bf16>,
    rows: usize,
    columns: usize,
    /// Steps in memory from one row to the next, and from one column to the next.
    strides: [usize; 2],
}

/// A view of a rounded matrix whose number `[row, column]` is at `row · strides[0] + column · strides[1]`; one of them is 1.
#[derive(Clone, Copy)]
pub struct RoundedView<'a> {
    pub(crate) numbers: &'a [bf16],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) strides: [usize; 2],
}

impl RoundedMatrix {
    /// Rounds a matrix `[rows, columns]`, rows first.
    pub fn new(numbers: &[f32], [rows, columns]: [usize; 2]) -> Self {
        Self { numbers: rounded(numbers), rows, columns, strides: [columns, 1] }
    }

    /// Rounds a matrix `[rows, columns]` whose columns lie one after another in memory.
    pub fn of_column_major(numbers: &[f32], [rows, columns]: [usize; 2]) -> Self {
        Self { numbers: rounded(numbers), rows, columns, strides: [1, rows] }
    }

    /// The matrix as it is.
    pub fn plain(&self) -> RoundedView<'_> {
        let &Self { ref numbers, rows, columns, strides } = self;
        RoundedView { numbers, rows, columns, strides }
    }

    /// Some columns of a matrix whose rows have `width` of them.
    pub fn of_columns(numbers: &[f32], width: usize, columns: Range<usize>) -> Self {
        let rows = numbers.chunks_exact(width).map(|row| &row[columns.clone()]);
        let (count, columns) = (rows.len(), columns.len());
        let numbers = rows.flatten().map(|&number| round(number)).collect();
        Self { numbers, rows: count, columns, strides: [columns, 1] }
    }

    /// The matrix transposed.
    pub fn transposed(&self) -> RoundedView<'_> {
        self.plain().transposed()
    }
}

impl<'a> RoundedView<'a> {
    /// The same numbers, rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { numbers, rows, columns, strides: [row, column] } = self;
        Self { numbers, rows: columns, columns: rows, strides: [column, row] }
    }

    /// Number of rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(self) -> usize {
        self.columns
    }

    fn for_gemmkit(self) -> MatRef<'a, bf16> {
        let [row, column] = self.strides.map(|stride| stride as isize);
        MatRef::new(self.numbers, self.rows, self.columns, row, column)
    }
}

/// `one · two`, rows first, in all threads.
///
/// # Panics
/// Where the sizes do not fit each other.
pub fn multiply_rounded(one: RoundedView<'_>, two: RoundedView<'_>) -> Vec<f32> {
    assert_eq!(one.columns, two.rows, "as many columns as the other has rows");
    amx::product(one, two).unwrap_or_else(|| product_of_gemmkit(one, two))
}

/// `one · two`, rows first.
fn product_of_gemmkit(one: RoundedView<'_>, two: RoundedView<'_>) -> Vec<f32> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_products_are_the_same() {
        let numbers = |count: usize, phase: f32| -> Vec<bf16> {
            (0..count).map(|i| bf16::from_f32((i as f32 * 1.7 + phase).sin())).collect()
        };
        let (one, two) = (numbers(70 * 33, 0.1), numbers(33 * 50, 0.2));
        let one = RoundedView { numbers: &one, rows: 70, columns: 33, strides: [33, 1] };
        let two = RoundedView { numbers: &two, rows: 33, columns: 50, strides: [1, 33] };
        let found = multiply_rounded(one, two);
        for (found, expected) in found.iter().zip(product_of_gemmkit(one, two)) {
            assert!(
                (found - expected).abs() <= expected.abs() / 128.0 + 1e-5,
                "{found}, expected {expected}"
            );
        }
    }
}
