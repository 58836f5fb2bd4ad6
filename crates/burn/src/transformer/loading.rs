//! What the parts of a model are loaded from, and for what.

use std::sync::Arc;

use burn::tensor::Device;
use lancer_kernels::BlockFormat;
use lancer_model::{Model, ModelError};

use super::{Matrix, Order, Parameter, Trained, Training};
use crate::{Weights, stored_weight::StoredWeight};

/// What the parts of a model are loaded from, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Loading<'a> {
    pub(crate) model: &'a Model,
    pub(crate) trained: &'a Trained<'a>,
    pub(crate) device: &'a Device,
}

impl Loading<'_> {
    /// The parameter of this name, such as a norm's weights or a bias.
    pub(crate) fn parameter(self, name: &str, order: Order) -> Result<Parameter, ModelError> {
        let training = match self.trained {
            Trained::All => Training::Trained,
            Trained::None(_) | Trained::Adapters(..) => Training::Frozen,
        };
        let tensor = self.tensor(name)?;
        Ok(Parameter::new(name.to_owned(), tensor.shape, tensor.data, order, training, self.device))
    }

    /// The order of 32-bit floats of a layer or head, where this is its order in training.
    pub(crate) fn order(self, in_training: Order) -> Order {
        match self.trained {
            Trained::None(_) => Order::of_inference(self.device),
            Trained::All | Trained::Adapters(..) => in_training,
        }
    }

    /// The weights of this name: with the model's adapter, unless it is trained on.
    fn tensor(self, name: &str) -> Result<lancer_model::Tensor, ModelError> {
        match self.trained {
            Trained::Adapters(..) => self.model.base_tensor(name),
            Trained::None(_) | Trained::All => self.model.tensor(name),
        }
    }

    /// Whether a matrix has 32-bit floats in its file.
    fn is_f32(self, name: &str) -> Result<bool, ModelError> {
        Ok(self.model.stored(name)?.blocks().format() == BlockFormat::F32)
    }

    /// The matrix of this name, in the numbers in which it is run or trained; `order` is that of 32-bit floats.
    pub(crate) fn matrix(self, name: &str, order: Order) -> Result<Matrix, ModelError> {
        match self.trained {
            Trained::None(Weights::Bf16) => {
                let tensor = self.model.tensor(name)?;
                Ok(Matrix::rounded(name, &tensor.data, &tensor.shape))
            }
            Trained::Adapters(..) if *self.device == Device::flex() && !self.is_f32(name)? => {
                Ok(Matrix::Stored(Arc::new(StoredWeight::new(name, self.model.stored(name)?))))
            }
            Trained::None(Weights::F32) | Trained::All | Trained::Adapters(..) => {
                Ok(Matrix::F32(Box::new(self.parameter(name, order)?)))
            }
        }
    }
}
