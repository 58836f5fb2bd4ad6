//! Matrix products, behind one door: which library or unit computes one depends on the element types, the number of rows and the
//! processor.
//!
//! * [`multiply`] and [`multiply_in_threads`]: 32-bit floats on strides, by `gemm`.
//! * [`multiply_few_rows`]: 32-bit floats with few rows, nearly as fast as the weights come from memory.
//! * [`multiply_rounded`]: bf16 factors, by AMX where the processor has it and by gemmkit elsewhere.
//! * [`RoundedWeight`]: a weight matrix that is rounded to bf16 once and multiplied often.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(not(target_arch = "x86_64"))]
#[path = "matmul/without_amx.rs"]
mod amx;
mod few_rows;
mod rounded;
mod rounded_weight;
mod strided;

pub use self::{
    few_rows::{FEW_ROWS, StridedWeight, multiply_few_rows},
    rounded::{RoundedMatrix, RoundedView, multiply_rounded},
    rounded_weight::{Activations, RoundedWeight},
    strided::{Matrix, MatrixMut, Write, multiply, multiply_in_threads},
};
