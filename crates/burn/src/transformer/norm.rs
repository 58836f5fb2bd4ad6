//! RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467): `x / √(mean(x²) + ε) · w`, row by row; with `1 + w` in Gemma.

use burn::tensor::Tensor;
use lancer_model::{ModelError, NormWeight};

use super::{Loading, Order, Parameter};
use crate::fused;

#[derive(Clone)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Parameter,
    meaning: NormWeight,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads the weight of this name.
    pub(crate) fn load(loading: Loading<'_>, name: &str) -> Result<Self, ModelError> {
        let weight = loading.parameter(name, Order::AsInFiles)?;
        let config = loading.model.config();
        Ok(Self { weight, meaning: config.family.design().norm_weight, epsilon: config.rms_norm_eps })
    }

    pub(crate) fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.value.clone();
        let factor = match self.meaning {
            NormWeight::Factor => weight,
            NormWeight::FactorLessOne => weight + 1.0,
        };
        fused::rms_norm(states, factor, self.epsilon)
    }

    /// Norms each head of `[rows, heads · head_dim]` by itself; the weight is `[1, head_dim]`.
    pub(crate) fn forward_heads(&self, states: Tensor<2>) -> Tensor<2> {
        let [rows, width] = states.dims();
        let head_dim = self.weight.size();
        let heads = states.reshape([rows * width / head_dim, head_dim]);
        self.forward(heads).reshape([rows, width])
    }
}
