//! Matrix products with weights that stay in their blocks: a panel of them is dequantised and multiplied, then the next.

use super::BlockMatrix;
use crate::matmul::{Matrix, MatrixMut, Write, multiply_in_threads};

/// Writes `x Wᵀ`, `[rows, outputs]`, for `states`, `x: [rows, inputs]`, and `weight: [outputs, inputs]`.
///
/// # Panics
/// Where the lengths are not those of such matrices.
pub fn multiply_blocks(states: &[f32], weight: BlockMatrix<'_>, output: &mut [f32]) {
    let [outputs, inputs] = [weight.rows(), weight.columns()];
    let rows = same_rows([states.len(), inputs], [output.len(), outputs]);
    if output.is_empty() {
        return;
    }
    weight.for_each_panel(|panel, weights| {
        multiply_in_threads(
            Matrix::new(states, [rows, inputs], inputs),
            Matrix::new(weights, [panel.len(), inputs], inputs).transposed(),
            MatrixMut::new(&mut output[panel.start..], [rows, panel.len()], outputs),
            Write::Over,
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
    let rows = same_rows([by_states.len(), inputs], [by_output.len(), outputs]);
    if by_states.is_empty() {
        return;
    }
    weight.for_each_panel(|panel, weights| {
        let write = if panel.start == 0 { Write::Over } else { Write::Add };
        multiply_in_threads(
            Matrix::new(&by_output[panel.start..], [rows, panel.len()], outputs),
            Matrix::new(weights, [panel.len(), inputs], inputs),
            MatrixMut::new(by_states, [rows, inputs], inputs),
            write,
        );
    });
}

/// The number of rows that both have.
fn same_rows([states, inputs]: [usize; 2], [output, outputs]: [usize; 2]) -> usize {
    let rows = states / inputs.max(1);
    assert!(
        states == rows * inputs && output == rows * outputs,
        "{states} numbers in rows of {inputs} beside {output} in rows of {outputs}"
    );
    rows
}
