//! The product of two matrices whose numbers may lie apart in memory.

/// A matrix whose number `[row, column]` is at `row · steps[0] + column · steps[1]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    steps: [usize; 2],
}

/// A matrix that a product is written to, the numbers of a row side by side.
pub struct MatrixMut<'a> {
    numbers: &'a mut [f32],
    rows: usize,
    columns: usize,
    step: usize,
}

/// What happens to the numbers at the place where a product is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The product takes their place.
    Over,
    /// The product is added to them.
    Add,
}

impl<'a> Matrix<'a> {
    /// The matrix that begins with the first of `numbers`, its rows `step` apart.
    ///
    /// # Panics
    /// Where it is not within `numbers`, or its rows overlap.
    pub fn new(numbers: &'a [f32], [rows, columns]: [usize; 2], step: usize) -> Self {
        assert_is_within(numbers.len(), [rows, columns], step);
        Self { numbers, rows, columns, steps: [step, 1] }
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { numbers, rows, columns, steps: [row, column] } = self;
        Self { numbers, rows: columns, columns: rows, steps: [column, row] }
    }
}

impl<'a> MatrixMut<'a> {
    /// The matrix that begins with the first of `numbers`, its rows `step` apart.
    ///
    /// # Panics
    /// Where it is not within `numbers`, or its rows overlap.
    pub fn new(numbers: &'a mut [f32], [rows, columns]: [usize; 2], step: usize) -> Self {
        assert_is_within(numbers.len(), [rows, columns], step);
        Self { numbers, rows, columns, step }
    }
}

fn assert_is_within(numbers: usize, [rows, columns]: [usize; 2], step: usize) {
    assert!(columns <= step, "rows of {columns} numbers, {step} apart");
    let needed = rows.saturating_sub(1) * step + columns;
    assert!(rows == 0 || needed <= numbers, "{needed} numbers, not {numbers}");
}

/// Writes `one · two`, in the thread that asks for it.
///
/// # Panics
/// Where the sizes do not fit each other.
pub fn multiply(one: Matrix<'_>, two: Matrix<'_>, output: MatrixMut<'_>, write: Write) {
    multiply_with(one, two, output, write, gemm::Parallelism::None);
}

/// As [`multiply`], in all of rayon's threads; their number changes no result.
///
/// # Panics
/// Where the sizes do not fit each other.
pub fn multiply_in_threads(one: Matrix<'_>, two: Matrix<'_>, output: MatrixMut<'_>, write: Write) {
    // 0 means all of them.
    multiply_with(one, two, output, write, gemm::Parallelism::Rayon(0));
}

fn multiply_with(
    one: Matrix<'_>,
    two: Matrix<'_>,
    output: MatrixMut<'_>,
    write: Write,
    threads: gemm::Parallelism,
) {
    assert_eq!(one.columns, two.rows, "as many columns as the other has rows");
    let MatrixMut { numbers, rows, columns, step } = output;
    assert_eq!([rows, columns], [one.rows, two.columns], "the product's size");
    // SAFETY: the pointers, sizes and steps are of matrices within their slices, which `new` checked; the output is borrowed
    // mutably, so that nothing else reads it.
    #[allow(unsafe_code, reason = "a product on strides, with checked sizes")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            one.columns,
            numbers.as_mut_ptr(),
            1,
            step as isize,
            write == Write::Add,
            one.numbers.as_ptr(),
            one.steps[1] as isize,
            one.steps[0] as isize,
            two.numbers.as_ptr(),
            two.steps[1] as isize,
            two.steps[0] as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vector::waves;

    proptest! {
        #[test]
        fn it_is_the_sum_of_products(
            rows in 0_usize..20, inner in 0_usize..20, columns in 0_usize..20, apart in 0_usize..5, adds: bool,
            transposes: bool, threads: bool,
        ) {
            let shape = if transposes { [columns, inner] } else { [inner, columns] };
            let (one, two) = (waves(rows * (inner + apart), 0.1), waves(shape[0] * (shape[1] + apart), 0.2));
            let before = waves(rows * (columns + apart), 0.3);
            let mut found = before.clone();
            let second = Matrix::new(&two, shape, shape[1] + apart);
            let product = if threads { multiply_in_threads } else { multiply };
            product(
                Matrix::new(&one, [rows, inner], inner + apart),
                if transposes { second.transposed() } else { second },
                MatrixMut::new(&mut found, [rows, columns], columns + apart),
                if adds { Write::Add } else { Write::Over },
            );
            for (place, (found, before)) in found.iter().zip(&before).enumerate() {
                let (row, column) = (place / (columns + apart), place % (columns + apart));
                let number = |i: usize| if transposes { two[column * (inner + apart) + i] } else { two[i * (columns + apart) + column] };
                let expected = if column >= columns {
                    *before
                } else {
                    let sum: f32 = (0..inner).map(|i| one[row * (inner + apart) + i] * number(i)).sum();
                    if adds { before + sum } else { sum }
                };
                prop_assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "12 numbers, not 11")]
    fn a_matrix_is_within_its_numbers() {
        Matrix::new(&[0.0; 11], [3, 2], 5);
    }
}
