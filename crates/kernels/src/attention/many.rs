//! Attention of many queries: a block of them at a time, by products of matrices.

use super::{AttentionShape, block::Block, softmax_of_row};
use crate::matmul::{Matrix, MatrixMut, Write, multiply};

/// The output of one block, `[its rows, heads · head_dim]`, and the logarithms of its softmax's sums, `[its rows, heads]`.
/// `queries` is `[rows, heads · head_dim]`, `keys` and `values` are `[tokens, kv_heads · head_dim]`, of all spans.
pub(super) fn attend(
    [queries, keys, values]: [&[f32]; 3],
    shape: AttentionShape,
    block: &Block<'_>,
    output: &mut [f32],
    log_sums: &mut [f32],
) {
    let AttentionShape { heads, head_dim, scale, .. } = shape;
    let (rows, seen) = (block.rows(), block.seen.len());
    let mut scores = vec![0.0; rows * seen];
    for head in 0..heads {
        self::scores([queries, keys], shape, block, head, &mut scores);
        for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
            log_sums[row * heads + head] = softmax_of_row(block.only_seen_by(row, scores), scale);
        }
        for part in block.parts() {
            let write = if part.columns.start == 0 { Write::Over } else { Write::Add };
            multiply(
                Matrix::new(&scores[part.columns.start..], [rows, part.columns.len()], seen),
                part.of(values, shape, head),
                MatrixMut::new(&mut output[head * head_dim..], [rows, head_dim], heads * head_dim),
                write,
            );
        }
    }
}

/// A head's products of a block's queries and the keys that it sees, `[rows, seen]`.
pub(super) fn scores(
    [queries, keys]: [&[f32]; 2],
    shape: AttentionShape,
    block: &Block<'_>,
    head: usize,
    scores: &mut [f32],
) {
    let (rows, seen) = (block.rows(), block.seen.len());
    let queries = block.of_queries(queries, shape, head);
    for part in block.parts() {
        let keys = part.of(keys, shape, head).transposed();
        let shape = [rows, part.columns.len()];
        multiply(queries, keys, MatrixMut::new(&mut scores[part.columns.start..], shape, seen), Write::Over);
    }
}
