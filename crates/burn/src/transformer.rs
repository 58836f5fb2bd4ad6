//! The transformer: Llama, and where other families differ from it.
//!
//! Tensors are matrices `[rows, width]`, a row for each token of all sequences of a pass, one sequence after another.

mod attention;
mod block;
mod cache;
mod dropout;
mod head;
mod linear;
mod mlp;
mod norm;
mod parameter;
mod pass;

use burn::tensor::{Device, Tensor};
use lancer_backend::{Seed, TokenId};
use lancer_model::{Config, Model, ModelError};

use self::norm::RmsNorm;
pub(crate) use self::{
    block::Block,
    cache::{Cache, Place, Sequence},
    head::Head,
    parameter::{Order, Parameter, Training},
    pass::{Dropping, Layout, Pass, Span},
};
use crate::settings::LoraSettings;

/// The weights of a model.
#[derive(Clone)]
pub(crate) struct Transformer {
    pub(crate) config: Config,
    /// Of `[vocabulary, hidden]` in files; also the head where they are tied.
    pub(crate) embedding: Parameter,
    /// Of `[vocabulary, hidden]` in files, where the head has weights of its own.
    pub(crate) head: Option<Parameter>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: RmsNorm,
}

/// Which weights of a model are trained.
pub(crate) enum Trained<'a> {
    /// None: for inference.
    None,
    All,
    /// Adapters, which begin with random weights from the seed.
    Adapters(&'a LoraSettings, Seed),
}

impl Transformer {
    pub(crate) fn load(model: &Model, trained: &Trained<'_>, device: &Device) -> Result<Self, ModelError> {
        let config = model.config().clone();
        let training = match trained {
            Trained::All => Training::Trained,
            Trained::None | Trained::Adapters(..) => Training::Frozen,
        };
        // Training makes the head's gradient in parts, which are rows of this order.
        let order_of_head = match trained {
            Trained::None => Order::Transposed,
            Trained::All | Trained::Adapters(..) => Order::AsInFiles,
        };
        let read = |name: &str, order| Parameter::read(model, name, order, training, device);
        let (head, order_of_embedding) = match config.head {
            lancer_model::Head::Tied => (None, order_of_head),
            lancer_model::Head::Separate => (Some(read("lm_head.weight", order_of_head)?), Order::AsInFiles),
        };
        let blocks = (0..config.layers)
            .map(|layer| Block::load(model, layer, trained, training, device))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embedding: read("model.embed_tokens.weight", order_of_embedding)?,
            head,
            blocks,
            norm: RmsNorm::load(model, "model.norm.weight", training, device)?,
            config,
        })
    }

    /// The embeddings of tokens, `[tokens, hidden]`, scaled as the family has it.
    pub(crate) fn embed(&self, tokens: &[TokenId]) -> Tensor<2> {
        let rows = self.embedding.rows_of(tokens);
        match self.config.embedding_scale() {
            Some(scale) => rows * scale,
            None => rows,
        }
    }

    /// All layers, without the last norm.
    pub(crate) fn layers(&self, mut states: Tensor<2>, pass: &mut Pass<'_>) -> Tensor<2> {
        for (layer, block) in self.blocks.iter().enumerate() {
            states = block.forward(states, layer, pass);
        }
        states
    }

    /// The head over states that went through the last norm.
    pub(crate) fn head(&self) -> Head<'_> {
        Head::new(self.head.as_ref().unwrap_or(&self.embedding))
    }

    pub(crate) fn head_is_trained(&self) -> bool {
        self.head.as_ref().unwrap_or(&self.embedding).is_trained()
    }

    /// Index in [`parameters`](Self::parameters) of the head's weights.
    pub(crate) fn head_index(&self) -> usize {
        usize::from(self.head.is_some())
    }

    /// Number of parameters that stand before those of the layers: the embedding and a separate head.
    pub(crate) fn outer_parameters(&self) -> usize {
        1 + usize::from(self.head.is_some())
    }

    /// Index in [`parameters`](Self::parameters) of the first of a layer's.
    pub(crate) fn first_parameter(&self, layer: usize) -> usize {
        let before: usize = self.blocks[..layer].iter().map(|block| block.parameters().len()).sum();
        self.outer_parameters() + before
    }

    /// All parameters, always in the same order.
    pub(crate) fn parameters(&self) -> Vec<&Parameter> {
        let mut all = vec![&self.embedding];
        all.extend(&self.head);
        for block in &self.blocks {
            all.extend(block.parameters());
        }
        all.push(&self.norm.weight);
        all
    }

    /// As [`parameters`](Self::parameters).
    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut all = vec![&mut self.embedding];
        all.extend(&mut self.head);
        for block in &mut self.blocks {
            all.extend(block.parameters_mut());
        }
        all.push(&mut self.norm.weight);
        all
    }

    /// A copy in whose layers and last norm what is trained is watched by autodiff. The embedding and the head are not:
    /// their gradients are computed by hand.
    pub(crate) fn watched(&self) -> Self {
        let mut copy = self.clone();
        let outer = copy.outer_parameters();
        for parameter in copy.parameters_mut().into_iter().skip(outer) {
            parameter.watch();
        }
        copy
    }

    /// The same weights for inference: adapters merged, nothing trained, the head in the order of a loaded one.
    pub(crate) fn for_inference(mut self) -> Self {
        self.blocks.iter_mut().for_each(Block::merge);
        for parameter in self.parameters_mut() {
            parameter.training = Training::Frozen;
        }
        let head = self.head.as_mut().unwrap_or(&mut self.embedding);
        *head = head.ordered(Order::Transposed);
        self
    }

    /// A matrix or vector under its Hugging Face name, adapters merged.
    pub(crate) fn merged(&self, name: &str) -> Option<Parameter> {
        let merged = self.blocks.iter().find_map(|block| block.merged(name));
        merged.or_else(|| self.parameters().into_iter().find(|parameter| parameter.name == name).cloned())
    }

    /// Number of weights, without adapters.
    pub(crate) fn size(&self) -> u64 {
        let adapters: usize = self.blocks.iter().map(Block::adapter_size).sum();
        let all: usize = self.parameters().iter().map(|parameter| parameter.size()).sum();
        (all - adapters) as u64
    }
}
