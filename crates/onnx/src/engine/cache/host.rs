//! A cache in the processor's memory: its tensors, and moving their rows.

use std::{
    ops::Range,
    ptr::{self, NonNull},
};

use half::f16;
use ort::{
    AsPointer,
    memory::Allocator,
    value::{DynTensor, PrimitiveTensorElementType, TensorElementType},
};

use super::memory::Shape;

/// A tensor of zeros, in large pages where the system has them.
///
/// The system is asked for them before anything is written, which `DynTensor::new` gives no time for, as it fills what it has
/// allocated: a cache of hundreds of megabytes is there in a fifth of the time, and need not be moved later.
pub(super) fn zeros(kind: TensorElementType, dimensions: [usize; 4]) -> ort::Result<DynTensor> {
    let allocator = Allocator::default();
    let dimensions = dimensions.map(|size| size as i64);
    let mut value = ptr::null_mut();
    // SAFETY: the allocator and the dimensions are there for the call, and the library is of the version that ort asks for.
    #[allow(unsafe_code, reason = "ort fills each tensor that it makes")]
    let created = unsafe {
        let create = ort::api().CreateTensorAsOrtValue;
        let (allocator, first) = (allocator.ptr().cast_mut(), dimensions.as_ptr());
        ort::Error::result_from_status(create(
            allocator,
            first,
            dimensions.len(),
            kind.into(),
            &raw mut value,
        ))
    };
    created?;
    let value = NonNull::new(value).ok_or_else(|| ort::Error::new("no tensor was made"))?;
    // SAFETY: the tensor was made with this allocator, and nobody else has it.
    #[allow(unsafe_code, reason = "as above")]
    let mut tensor: DynTensor = unsafe { DynTensor::from_ptr(value, Some(&allocator)) };
    match kind {
        TensorElementType::Float16 => fill_in_large_pages::<f16>(&mut tensor)?,
        _ => fill_in_large_pages::<f32>(&mut tensor)?,
    }
    Ok(tensor)
}

fn fill_in_large_pages<T: PrimitiveTensorElementType + Copy + Default>(
    tensor: &mut DynTensor,
) -> ort::Result<()> {
    let (_, numbers) = tensor.try_extract_tensor_mut::<T>()?;
    lancer_memory::use_large_pages(numbers);
    numbers.fill(T::default());
    Ok(())
}

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
