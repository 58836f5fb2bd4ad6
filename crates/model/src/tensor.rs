//! A tensor in memory.

/// Weights in `f32`, the last dimension contiguous.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Rows first, such as `[output, input]` for a linear layer.
    pub shape: Vec<usize>,
    /// As many weights as the product of `shape`.
    pub data: Vec<f32>,
}
