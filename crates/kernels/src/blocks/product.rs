//! Matrix products with weights that stay in their blocks: a panel of them is dequantised and multiplied, then the next.

use rayon::prelude::*;

use super::BlockMatrix;
use crate::multiply::{Matrix, MatrixMut, Write, multiply};

/// Rows that one thread multiplies with a panel. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 128;

/// Writes `x Wᵀ`, `[rows, outputs]`, for `states`, `x: [rows, inputs]`, and `weight: [outputs, inputs]`.
///
/// # Panics
/// Where the lengths are not those of such matrices.
pub fn multiply_blocks(states: &[f32], weight: BlockMatrix<'_>, output: &mut [f32]) {
    let [outputs, inputs] = [weight.rows(), weight.columns()];
    assert_same_rows([states.len(), inputs], [output.len(), outputs]);
    if output.is_empty() {
        return;
    }
    weight.for_each_panel(|panel, weights| {
        let weights = Matrix::new(weights, [panel.len(), inputs], inputs).transposed();
        output.par_chunks_mut(ROWS * outputs).zip(states.par_chunks(ROWS * inputs)).for_each(
            |(output, states)| {
                let rows = states.len() / inputs;
                multiply(
                    Matrix::new(states, [rows, inputs], inputs),
                    weights,
                    MatrixMut::new(&mut output[panel.start..], [rows, panel.len()], outputs),
                    Write::Over,
                );
            },
        );
    });
}

/// Writes `dy W`, `[rows, inputs]`, the gradient of `x`, for `by_output`, `dy: [rows, outputs]`, and `weight: [outputs,
/// inputs]`.
///
/// # Panics
/// Where the lengths are not those of such matrices.
pub fn multiply_blocks_back(by_output: &[f32], weight: BlockMatrix<'_>, by_states: &mut [f32]) {
    let [outputs, inputs] = [weight.rows(), weight.columns()];
    assert_same_rows([by_states.len(), inputs], [by_output.len(), outputs]);
    if by_states.is_empty() {
        return;
    }
    weight.for_each_panel(|panel, weights| {
        let write = if panel.start == 0 { Write::Over } else { Write::Add };
        let weights = Matrix::new(weights, [panel.len(), inputs], inputs);
        by_states.par_chunks_mut(ROWS * inputs).zip(by_output.par_chunks(ROWS * outputs)).for_each(
            |(by_states, by_output)| {
                let rows = by_states.len() / inputs;
                multiply(
                    Matrix::new(&by_output[panel.start..], [rows, panel.len()], outputs),
                    weights,
                    MatrixMut::new(by_states, [rows, inputs], inputs),
                    write,
                );
            },
        );
    });
}

fn assert_same_rows([states, inputs]: [usize; 2], [output, outputs]: [usize; 2]) {
    assert!(
        states.is_multiple_of(inputs) && output.is_multiple_of(outputs) && states / inputs == output / outputs,
        "{states} numbers in rows of {inputs} beside {output} in rows of {outputs}"
    );
}
