//! Weights in ggml's block formats: read, multiplied, and written.

mod dequantise;
mod format;
mod k_quants;
mod matrix;
mod product;
mod quantise;

pub use dequantise::dequantise;
pub use format::BlockFormat;
pub use matrix::{BlockError, BlockMatrix, RowOrder};
pub use product::{multiply_blocks, multiply_blocks_back};
pub use quantise::quantise_q8_0;
