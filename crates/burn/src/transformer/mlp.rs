//! A gated MLP (Shazeer 2020, arXiv 2002.05202): `down(activation(gate(x)) · up(x))`.

use burn::tensor::Tensor;
use lancer_model::{Activation, ModelError};

use super::{Loading, dropout::Dropout, linear::Linear};
use crate::{
    fused::{self, Gated},
    settings::{Products, Projection},
};

#[derive(Clone)]
pub(crate) struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn load(loading: Loading<'_>, layer: usize) -> Result<Self, ModelError> {
        let linear = |projection| Linear::load(loading, layer, projection);
        Ok(Self {
            gate: linear(Projection::GateProj)?,
            up: linear(Projection::UpProj)?,
            down: linear(Projection::DownProj)?,
            activation: loading.model.config().family.design().activation,
        })
    }

    pub(crate) fn forward(
        &self,
        states: Tensor<2>,
        products: Products,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<2> {
        let [gate, up] =
            Linear::forward_all([&self.gate, &self.up], states, products, dropout.as_deref_mut());
        let again = Gated::of(&gate, &up, self.activation);
        self.down.forward(fused::gated(gate, up, self.activation), again, products, dropout)
    }

    pub(crate) fn linears(&self) -> [&Linear; 3] {
        [&self.gate, &self.up, &self.down]
    }

    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 3] {
        [&mut self.gate, &mut self.up, &mut self.down]
    }
}
