//! Causal self-attention with grouped queries (Ainslie et al. 2023, arXiv 2305.13245).

use burn::tensor::Tensor;
use lancer_model::{Config, HeadNorm, ModelError};

use super::{Loading, Parameter, Pass, dropout::Dropout, linear::Linear, norm::RmsNorm};
use crate::{
    fused::{self, AttentionShape},
    settings::Projection,
};

#[derive(Clone)]
pub(crate) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Of queries and of keys, head by head, where the family has them.
    head_norms: Option<[RmsNorm; 2]>,
    shape: AttentionShape,
}

impl Attention {
    pub(crate) fn load(loading: Loading<'_>, layer: usize) -> Result<Self, ModelError> {
        let linear = |projection| Linear::load(loading, layer, projection);
        let config = loading.model.config();
        let &Config { heads, kv_heads, head_dim, .. } = config;
        let norm = |part: &str| {
            let name = format!("model.layers.{layer}.self_attn.{part}.weight");
            RmsNorm::load(loading, &name)
        };
        let head_norms = match config.family.design().head_norm {
            HeadNorm::None => None,
            HeadNorm::QueryKey => Some([norm("q_norm")?, norm("k_norm")?]),
        };
        Ok(Self {
            query: linear(Projection::QProj)?,
            key: linear(Projection::KProj)?,
            value: linear(Projection::VProj)?,
            output: linear(Projection::OProj)?,
            head_norms,
            shape: AttentionShape {
                heads,
                kv_heads,
                head_dim,
                scale: config.attention_scale(),
                window: config.window(layer).map(|window| window.tokens),
            },
        })
    }

    /// `[rows, hidden]` to the same.
    pub(crate) fn forward(
        &self,
        states: Tensor<2>,
        layer: usize,
        pass: &mut Pass<'_>,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<2> {
        let (layout, products) = (pass.layout, pass.products);
        let linears = [&self.query, &self.key, &self.value];
        let [query, key, value] = Linear::forward_all(linears, states, products, dropout.as_deref_mut());
        let (query, key) = match &self.head_norms {
            None => (query, key),
            Some([of_query, of_key]) => (of_query.forward_heads(query), of_key.forward_heads(key)),
        };
        let rotary_table = layout.rotary_table(self.shape);
        let query = fused::rotate(query, rotary_table.clone());
        let key = fused::rotate(key, rotary_table);
        let attended = match &mut pass.cache {
            None => fused::attend(query, key, value, self.shape, products, layout.spans.clone()),
            Some(cache) => cache.attend(layer, [query, key, value], self.shape, layout),
        };
        self.output.forward(attended, None, products, dropout)
    }

    pub(crate) fn norm_weights(&self) -> impl Iterator<Item = &Parameter> {
        self.head_norms.iter().flatten().map(|norm| &norm.weight)
    }

    /// The matrices and the weights of the norms.
    pub(crate) fn parts_mut(&mut self) -> ([&mut Linear; 4], impl Iterator<Item = &mut Parameter>) {
        let linears = [&mut self.query, &mut self.key, &mut self.value, &mut self.output];
        (linears, self.head_norms.iter_mut().flatten().map(|norm| &mut norm.weight))
    }

    pub(crate) fn linears(&self) -> [&Linear; 4] {
        [&self.query, &self.key, &self.value, &self.output]
    }
}
