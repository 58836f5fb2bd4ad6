//! A weight matrix in the numbers in which it is multiplied.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Device, Tensor};
use lancer_backend::{Seed, TokenId};
use lancer_kernels::matmul::{Activations, RoundedWeight};

use super::{Order, Parameter};
use crate::{
    numbers::{matrix, primitive, slice},
    product::product,
    settings::Products,
    stored_weight::StoredWeight,
};

/// A weight matrix, of `[output, input]` in files.
#[derive(Clone)]
pub(crate) enum Matrix {
    /// 32-bit floats, which alone are trained.
    F32(Box<Parameter>),
    /// bf16, for inference on the processor.
    Bf16(Arc<RoundedWeight>),
    /// As it is in its file, frozen, for the processor.
    Stored(Arc<StoredWeight>),
}

impl Matrix {
    /// Rounds the weights of this name, `shape: [output, input]`.
    pub(crate) fn rounded(name: &str, weights: &[f32], shape: &[usize]) -> Self {
        let inputs = shape.last().copied().unwrap_or(1);
        let shape = [weights.len() / inputs.max(1), inputs];
        Self::Bf16(Arc::new(RoundedWeight::new(weights, shape, Seed(0).derive(name).0)))
    }

    /// The same matrix for inference, rounded.
    pub(crate) fn round(&mut self) {
        if let Self::F32(parameter) = self {
            *self = Self::rounded(&parameter.name, &parameter.in_files(), &parameter.shape);
        }
    }

    /// The weights, if they are rounded and this matrix alone has them.
    pub(crate) fn rounded_mut(&mut self) -> Option<&mut RoundedWeight> {
        match self {
            Self::F32(_) | Self::Stored(_) => None,
            Self::Bf16(weight) => Arc::get_mut(weight),
        }
    }

    /// The same matrix with its 32-bit floats in this order.
    pub(crate) fn order(&mut self, order: Order) {
        if let Self::F32(parameter) = self {
            **parameter = parameter.ordered(order);
        }
    }

    /// Number of weights.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::F32(parameter) => parameter.size(),
            Self::Bf16(weight) => weight.size(),
            Self::Stored(weight) => weight.size(),
        }
    }

    /// Its first dimension in files; an embedding's and a head's is the size of the vocabulary.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::F32(parameter) => parameter.shape[0],
            Self::Bf16(weight) => weight.outputs(),
            Self::Stored(weight) => weight.outputs(),
        }
    }

    /// The weights as they are in their file, if they are.
    pub(crate) fn stored(&self) -> Option<&StoredWeight> {
        match self {
            Self::F32(_) | Self::Bf16(_) => None,
            Self::Stored(weight) => Some(weight),
        }
    }

    pub(crate) fn is_trained(&self) -> bool {
        self.parameter().is_some_and(Parameter::is_trained)
    }

    pub(crate) fn parameter(&self) -> Option<&Parameter> {
        match self {
            Self::F32(parameter) => Some(parameter),
            Self::Bf16(_) | Self::Stored(_) => None,
        }
    }

    pub(crate) fn parameter_mut(&mut self) -> Option<&mut Parameter> {
        match self {
            Self::F32(parameter) => Some(parameter),
            Self::Bf16(_) | Self::Stored(_) => None,
        }
    }

    /// The rows of these tokens in an embedding `[vocabulary, hidden]`.
    pub(crate) fn rows_of(&self, tokens: &[TokenId]) -> Tensor<2> {
        match self {
            Self::F32(parameter) => parameter.rows_of(tokens),
            Self::Bf16(weight) => rows_of(weight, tokens.iter().map(|token| token.0 as usize)),
            Self::Stored(weight) => weight.rows_of(tokens.iter().map(|token| token.0 as usize)),
        }
    }

    /// The weights of some outputs in 32-bit floats, as the matrix `[input, outputs]` of a product.
    pub(crate) fn part(&self, outputs: Range<usize>) -> Tensor<2> {
        match self {
            Self::F32(parameter) => parameter.factor().narrow(1, outputs.start, outputs.len()),
            Self::Bf16(weight) => rows_of(weight, outputs).transpose(),
            Self::Stored(weight) => weight.rows(outputs).transpose(),
        }
    }

    /// Some outputs `[rows, outputs]` for `states: [rows, input]`; the first is a multiple of 32.
    pub(crate) fn product_of(&self, states: &Tensor<2>, outputs: Range<usize>) -> Tensor<2> {
        match self {
            Self::F32(_) | Self::Stored(_) => product(states.clone(), self.part(outputs), Products::F32),
            Self::Bf16(weight) => {
                let states = primitive(states.clone());
                let rows = states.layout().shape()[0];
                let activations = Activations::new(slice(&states), [rows, weight.inputs()]);
                let shape = [rows, outputs.len()];
                matrix(weight.product_of(&activations, outputs), shape, &Device::flex())
            }
        }
    }
}

/// The outputs of several weights for the same states, which are in this program's memory and outside of autodiff.
pub(crate) fn rounded_products<const N: usize>(
    weights: [&RoundedWeight; N],
    states: Tensor<2>,
) -> [Tensor<2>; N] {
    let states = primitive(states);
    let shape = states.layout().shape();
    let shape = [shape[0], shape[1]];
    let mut outputs = RoundedWeight::products(weights, &Activations::new(slice(&states), shape)).into_iter();
    weights.map(|weight| {
        let output = outputs.next().unwrap_or_default();
        matrix(output, [shape[0], weight.outputs()], &Device::flex())
    })
}

/// The weights of some outputs, `[outputs, inputs]`.
fn rows_of(weight: &RoundedWeight, outputs: impl ExactSizeIterator<Item = usize>) -> Tensor<2> {
    let shape = [outputs.len(), weight.inputs()];
    matrix(weight.rows_of(outputs), shape, &Device::flex())
}
