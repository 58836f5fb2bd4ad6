//! Moving rows of a cache in the processor's memory.

use std::ops::Range;

use half::f16;
use ort::value::{DynTensor, PrimitiveTensorElementType, TensorElementType};

use super::memory::Shape;

/// Copies `columns` of rows of `from` to rows of `to`: at the end where sequences end in the last column, else at the
/// beginning. `moves` are the rows of both, that of `to` first.
pub(super) fn copy(
    to: &mut [DynTensor],
    from: &[DynTensor],
    moves: &[(usize, usize)],
    columns: Range<usize>,
    shape: Shape,
) -> ort::Result<()> {
    for (to, from) in to.iter_mut().zip(from) {
        match shape.kind {
            TensorElementType::Float16 => copy_columns::<f16>(to, from, moves, &columns, shape)?,
            _ => copy_columns::<f32>(to, from, moves, &columns, shape)?,
        }
    }
    Ok(())
}

/// Columns before those that are copied become zeros: the graph multiplies them with a share of 0, and what is no number
/// would spread.
fn copy_columns<T: PrimitiveTensorElementType + Copy + Default>(
    to: &mut DynTensor,
    from: &DynTensor,
    moves: &[(usize, usize)],
    columns: &Range<usize>,
    shape: Shape,
) -> ort::Result<()> {
    let (from_shape, from) = from.try_extract_tensor::<T>()?;
    let from_capacity = from_shape[2] as usize;
    let (to_shape, to) = to.try_extract_tensor_mut::<T>()?;
    let to_capacity = to_shape[2] as usize;
    let start = shape.start(columns.len(), to_capacity);
    for &(to_row, from_row) in moves {
        for head in 0..shape.heads {
            let first = |row: usize, capacity: usize| (row * shape.heads + head) * capacity * shape.head_size;
            let source = first(from_row, from_capacity) + columns.start * shape.head_size;
            let target = first(to_row, to_capacity);
            let (before, length) = (start * shape.head_size, columns.len() * shape.head_size);
            to[target..target + before].fill(T::default());
            to[target + before..target + before + length].copy_from_slice(&from[source..source + length]);
        }
    }
    Ok(())
}
