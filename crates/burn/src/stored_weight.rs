//! A frozen weight matrix as it is in its file: mapped into memory, dequantised by panels where it is multiplied.
//!
//! What is trained over such a matrix is trained over the very numbers with which the file is served. A product needs the panel
//! that is multiplied in 32-bit floats, never the whole, and the gradient of the matrix is not formed.

use std::{fmt, ops::Range};

use burn::{backend::Flex, tensor::Tensor};
use lancer_kernels::{
    BlockMatrix,
    matmul::{RoundedMatrix, multiply_rounded},
    multiply_blocks, multiply_blocks_back,
};
use lancer_model::StoredMatrix;

use crate::{
    numbers::{Floats, rounded, slice, tensor},
    settings::Products,
};

/// A frozen weight matrix `[output, input]`.
pub(crate) struct StoredWeight {
    /// Its Hugging Face name.
    pub(crate) name: String,
    stored: StoredMatrix,
}

impl fmt::Debug for StoredWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredWeight({})", self.name)
    }
}

impl StoredWeight {
    pub(crate) fn new(name: &str, stored: StoredMatrix) -> Self {
        Self { name: name.to_owned(), stored }
    }

    fn blocks(&self) -> BlockMatrix<'_> {
        self.stored.blocks()
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.stored.bytes()
    }

    /// Number of weights.
    pub(crate) fn size(&self) -> usize {
        self.blocks().rows() * self.blocks().columns()
    }

    /// Number of outputs; those of an embedding are tokens.
    pub(crate) fn outputs(&self) -> usize {
        self.blocks().rows()
    }

    /// Number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.blocks().columns()
    }

    /// The weights of some outputs, `[outputs, inputs]`.
    pub(crate) fn rows(&self, outputs: Range<usize>) -> Tensor<2> {
        let shape = [outputs.len(), self.inputs()];
        let mut weights = vec![0.0; shape[0] * shape[1]];
        self.blocks().dequantise_rows(outputs, &mut weights);
        Tensor::from_primitive::<Flex>(tensor(weights, shape))
    }

    /// The weights of these outputs, such as the tokens of an embedding, `[outputs, inputs]`.
    pub(crate) fn rows_of(&self, outputs: impl ExactSizeIterator<Item = usize>) -> Tensor<2> {
        let (blocks, inputs) = (self.blocks(), self.inputs());
        let shape = [outputs.len(), inputs];
        let mut weights = vec![0.0; shape[0] * shape[1]];
        for (output, weights) in outputs.zip(weights.chunks_exact_mut(inputs)) {
            blocks.dequantise_row(output, weights);
        }
        Tensor::from_primitive::<Flex>(tensor(weights, shape))
    }

    /// `x Wᵀ: [rows, outputs]` for `x: [rows, inputs]`.
    pub(crate) fn product(&self, states: Floats, products: Products) -> Floats {
        let (rows, outputs) = (states.layout().shape()[0], self.outputs());
        let mut output = vec![0.0; rows * outputs];
        match products {
            Products::F32 => multiply_blocks(slice(&states), self.blocks(), &mut output),
            Products::Bf16 => {
                let states = rounded(states);
                self.blocks().for_each_panel(|panel, weights| {
                    let weights = RoundedMatrix::new(weights, [panel.len(), self.inputs()]);
                    let found = multiply_rounded(states.plain(), weights.transposed());
                    let rows = output.chunks_exact_mut(outputs).zip(found.chunks_exact(panel.len()));
                    rows.for_each(|(output, found)| output[panel.clone()].copy_from_slice(found));
                });
            }
        }
        tensor(output, [rows, outputs])
    }

    /// `dy W: [rows, inputs]`, the gradient of `x`, for `dy: [rows, outputs]`.
    pub(crate) fn product_back(&self, by_output: &Floats, products: Products) -> Floats {
        let (rows, inputs) = (by_output.layout().shape()[0], self.inputs());
        let mut by_states = vec![0.0; rows * inputs];
        match products {
            Products::F32 => multiply_blocks_back(slice(by_output), self.blocks(), &mut by_states),
            Products::Bf16 => self.blocks().for_each_panel(|panel, weights| {
                let weights = RoundedMatrix::new(weights, [panel.len(), inputs]);
                let by_output = RoundedMatrix::of_columns(slice(by_output), self.outputs(), panel);
                let found = multiply_rounded(by_output.plain(), weights.plain());
                by_states.iter_mut().zip(&found).for_each(|(sum, found)| *sum += found);
            }),
        }
        tensor(by_states, [rows, inputs])
    }
}
