//! Operations of language models over slices, without a tensor library, on the processor.
//!
//! * [`matmul`]: matrix products; behind this door `gemm`, gemmkit or Intel's AMX computes them. [`multiply`] is the product of two
//!   matrices of 32-bit floats on strides, in the calling thread; [`multiply_in_threads`] uses all threads.
//! * [`attention`], [`rms_norm`], [`rotary`], [`gated`]: the other operations of a layer, forward and backward.
//! * [`adamw`]: the optimizer's step.
//! * [`BlockMatrix`] is a matrix of weights in one of ggml's formats ([`BlockFormat`]), as it is in a file.
//!   [`multiply_blocks`] and [`multiply_blocks_back`] are the products with it, forward and for the gradient of the other factor:
//!   they dequantise some of its rows at a time, and never the whole.
//! * [`bf16`], [`exp`], [`vector`], [`threads`]: rounding, the exponential, sums and threads, on which the others are built.
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

pub mod adamw;
pub mod attention;
pub mod bf16;
mod blocks;
pub mod exp;
pub mod gated;
pub mod matmul;
mod pieces;
pub mod rms_norm;
pub mod rotary;
pub mod threads;
pub mod vector;

pub use blocks::{
    BlockError, BlockFormat, BlockMatrix, RowOrder, dequantise, multiply_blocks, multiply_blocks_back,
    quantise_q8_0,
};
pub use matmul::{Matrix, MatrixMut, Write, multiply, multiply_in_threads};

/// Numbers that one thread takes at a time in operations number by number.
const CHUNK: usize = 1 << 14;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
