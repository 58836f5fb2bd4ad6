//! RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467): `x / √(mean(x²) + ε) · w`, row by row.

use burn::tensor::{Device, Tensor};
use lancer_model::{Model, ModelError};

use super::{Order, Parameter, Training};
use crate::fused;

#[derive(Clone)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Parameter,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads the weight of this name.
    pub(crate) fn load(
        model: &Model,
        name: &str,
        training: Training,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let weight = Parameter::read(model, name, Order::AsInFiles, training, device)?;
        Ok(Self { weight, epsilon: model.config().rms_norm_eps })
    }

    pub(crate) fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        fused::rms_norm(states, self.weight.value.clone(), self.epsilon)
    }

    /// Norms each head of `[rows, heads · head_dim]` by itself; the weight is `[1, head_dim]`.
    pub(crate) fn forward_heads(&self, states: Tensor<2>) -> Tensor<2> {
        let [rows, width] = states.dims();
        let head_dim = self.weight.size();
        let heads = states.reshape([rows * width / head_dim, head_dim]);
        self.forward(heads).reshape([rows, width])
    }
}
