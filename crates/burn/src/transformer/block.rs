//! One layer: attention and MLP, each after a norm and added to what came in, in some families after another norm.

use burn::tensor::Tensor;
use lancer_model::{BlockNorms, ModelError};

use super::{
    Loading, Matrix, Parameter, Pass, attention::Attention, linear::Linear, mlp::Mlp, norm::RmsNorm,
};

#[derive(Clone)]
pub(crate) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
    after: Option<AfterNorms>,
}

/// The norms of what attention and MLP give.
#[derive(Clone)]
struct AfterNorms {
    attention: RmsNorm,
    mlp: RmsNorm,
}

impl Block {
    pub(crate) fn load(loading: Loading<'_>, layer: usize) -> Result<Self, ModelError> {
        let norm = |name: &str| RmsNorm::load(loading, &format!("model.layers.{layer}.{name}.weight"));
        let (mlp_norm, after) = match loading.model.config().family.design().block_norms {
            BlockNorms::Before => ("post_attention_layernorm", None),
            BlockNorms::BeforeAndAfter => {
                let (attention, mlp) =
                    (norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?);
                ("pre_feedforward_layernorm", Some(AfterNorms { attention, mlp }))
            }
        };
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            attention: Attention::load(loading, layer)?,
            mlp_norm: norm(mlp_norm)?,
            mlp: Mlp::load(loading, layer)?,
            after,
        })
    }

    pub(crate) fn forward(&self, states: Tensor<2>, layer: usize, pass: &mut Pass<'_>) -> Tensor<2> {
        let mut dropout = pass.dropping.in_layer(layer);
        let normed = self.attention_norm.forward(states.clone());
        let mut attended = self.attention.forward(normed, layer, pass, dropout.as_mut());
        if let Some(after) = &self.after {
            attended = after.attention.forward(attended);
        }
        let states = states + attended;
        let normed = self.mlp_norm.forward(states.clone());
        let mut changed = self.mlp.forward(normed, pass.products, dropout.as_mut());
        if let Some(after) = &self.after {
            changed = after.mlp.forward(changed);
        }
        states + changed
    }

    pub(crate) fn parameters(&self) -> Vec<&Parameter> {
        self.norm_weights().chain(self.linears().flat_map(Linear::parameters)).collect()
    }

    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut all = vec![&mut self.attention_norm.weight, &mut self.mlp_norm.weight];
        let after = self.after.iter_mut();
        all.extend(after.flat_map(|after| [&mut after.attention.weight, &mut after.mlp.weight]));
        let (linears, norms) = self.attention.parts_mut();
        all.extend(norms);
        all.extend(linears.into_iter().chain(self.mlp.linears_mut()).flat_map(Linear::parameters_mut));
        all
    }

    /// The matrices of its linear layers.
    pub(crate) fn matrices_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let (linears, _) = self.attention.parts_mut();
        linears.into_iter().chain(self.mlp.linears_mut()).map(|linear| &mut linear.matrix)
    }

    /// The matrices of its linear layers.
    pub(crate) fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        self.linears().map(|linear| &linear.matrix)
    }

    /// The parameters of its adapters, `A` and `B` of each.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = [&Parameter; 2]> {
        self.linears().filter_map(Linear::adapter)
    }

    /// Number of weights, without adapters.
    pub(crate) fn size(&self) -> usize {
        let norms = self.norm_weights().map(Parameter::size);
        norms.chain(self.linears().map(Linear::size)).sum()
    }

    /// The weights of all norms.
    fn norm_weights(&self) -> impl Iterator<Item = &Parameter> {
        let after = self.after.iter().flat_map(|after| [&after.attention.weight, &after.mlp.weight]);
        [&self.attention_norm.weight, &self.mlp_norm.weight]
            .into_iter()
            .chain(after)
            .chain(self.attention.norm_weights())
    }

    fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.attention.linears().into_iter().chain(self.mlp.linears())
    }
}
