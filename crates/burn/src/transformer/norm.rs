//! RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467): `x / √(mean(x²) + ε) · w`, row by row.

use burn::tensor::Tensor;
use lancer_model::Config;

use super::Parameter;
use crate::fused;

#[derive(Clone)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Parameter,
    epsilon: f64,
}

impl RmsNorm {
    pub(crate) fn new(weight: Parameter, config: &Config) -> Self {
        Self { weight, epsilon: config.rms_norm_eps }
    }

    pub(crate) fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        fused::rms_norm(states, self.weight.value.clone(), self.epsilon)
    }
}
