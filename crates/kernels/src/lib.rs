//! Operations of language models over slices, without a tensor library.
//!
//! * [`multiply`] is the product of two matrices of 32-bit floats on strides, in the thread that asks for it;
//!   [`multiply_in_threads`] takes all of them.
//! * [`BlockMatrix`] is a matrix of weights in one of ggml's formats ([`BlockFormat`]), as it is in a file.
//!   [`multiply_blocks`] and [`multiply_blocks_back`] are the products with it, forward and for the gradient of what it is
//!   multiplied with: some of its rows are dequantised at a time, and the whole never is.
//!
//! KERNELS.md lists each operation with its shapes and its test.
//!
//! ```
//! use lancer_kernels::{BlockFormat, BlockMatrix, multiply_blocks};
//!
//! // One output for two inputs, in 16-bit brain floats.
//! let bytes = [0x80, 0x3f, 0x00, 0x40]; // 1 and 2
//! let weight = BlockMatrix::new(BlockFormat::BF16, [1, 2], &bytes)?;
//! let mut output = [0.0];
//! multiply_blocks(&[10.0, 100.0], weight, &mut output);
//! assert_eq!(output, [210.0]);
//! # Ok::<(), lancer_kernels::BlockError>(())
//! ```

mod blocks;
mod multiply;

pub use blocks::{
    BlockError, BlockFormat, BlockMatrix, RowOrder, dequantise, multiply_blocks, multiply_blocks_back,
    quantise_q8_0,
};
pub use multiply::{Matrix, MatrixMut, Write, multiply, multiply_in_threads};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
