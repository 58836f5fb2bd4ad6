//! The transformer: Llama, and where other families differ from it.
//!
//! Tensors are matrices `[rows, width]`, a row for each token of all sequences of a pass, one sequence after another.

mod attention;
mod block;
mod cache;
mod dropout;
mod head;
mod linear;
mod loading;
mod matrix;
mod mlp;
mod norm;
mod parameter;
mod pass;

use burn::tensor::{Device, Tensor};
use lancer_backend::{Seed, TokenId};
use lancer_kernels::matmul::RoundedWeight;
use lancer_model::{Config, Model, ModelError};

use self::norm::RmsNorm;
pub(crate) use self::{
    block::Block,
    cache::{Cache, Place, Places, Sequence},
    head::Head,
    loading::Loading,
    matrix::Matrix,
    parameter::{Order, Parameter, Training},
    pass::{Dropping, Layout, Pass, Segment},
};
use crate::{Weights, numbers::is_here, settings::LoraSettings, stored_weight::StoredWeight};

/// The weights of a model.
#[derive(Clone)]
pub(crate) struct Transformer {
    pub(crate) config: Config,
    /// Of `[vocabulary, hidden]` in files; also the head where they are tied.
    pub(crate) embedding: Matrix,
    /// Of `[vocabulary, hidden]` in files, where the head has weights of its own.
    pub(crate) head: Option<Matrix>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: RmsNorm,
}

/// Which weights of a model are trained.
pub(crate) enum Trained<'a> {
    /// None: for inference with such weights.
    None(Weights),
    All,
    /// Adapters, which begin with random weights from the seed.
    Adapters(&'a LoraSettings, Seed),
}

impl Transformer {
    pub(crate) fn load(model: &Model, trained: &Trained<'_>, device: &Device) -> Result<Self, ModelError> {
        let config = model.config().clone();
        let loading = Loading { model, trained, device };
        // Training makes the head's gradient in parts, which are rows of this order.
        let order_of_head = loading.order(Order::AsInFiles);
        let (head, order_of_embedding) = match config.head {
            lancer_model::Head::Tied => (None, order_of_head),
            lancer_model::Head::Separate => {
                (Some(loading.matrix("lm_head.weight", order_of_head)?), Order::AsInFiles)
            }
        };
        let blocks = (0..config.layers).map(|layer| Block::load(loading, layer)).collect::<Result<_, _>>()?;
        let mut transformer = Self {
            embedding: loading.matrix("model.embed_tokens.weight", order_of_embedding)?,
            head,
            blocks,
            norm: RmsNorm::load(loading, "model.norm.weight")?,
            config,
        };
        transformer.gather();
        Ok(transformer)
    }

    /// The embeddings of tokens, `[tokens, hidden]`, scaled as the family has it.
    pub(crate) fn embed(&self, tokens: &[TokenId]) -> Tensor<2> {
        let rows = self.embedding.rows_of(tokens);
        match self.config.embedding_scale() {
            Some(scale) => rows * scale,
            None => rows,
        }
    }

    /// Whether the processor computes it.
    pub(crate) fn is_here(&self) -> bool {
        is_here(&self.norm.weight.value)
    }

    /// Where it is computed.
    pub(crate) fn device(&self) -> Device {
        self.norm.weight.value.device()
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
        self.outer().filter_map(Matrix::parameter).count()
    }

    /// Index in [`parameters`](Self::parameters) of the first of a layer's.
    pub(crate) fn first_parameter(&self, layer: usize) -> usize {
        let before: usize = self.blocks[..layer].iter().map(|block| block.parameters().len()).sum();
        self.outer_parameters() + before
    }

    /// All parameters, always in the same order.
    pub(crate) fn parameters(&self) -> Vec<&Parameter> {
        let mut all: Vec<_> = self.outer().filter_map(Matrix::parameter).collect();
        for block in &self.blocks {
            all.extend(block.parameters());
        }
        all.push(&self.norm.weight);
        all
    }

    /// As [`parameters`](Self::parameters).
    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let outer = std::iter::once(&mut self.embedding).chain(&mut self.head);
        let mut all: Vec<_> = outer.filter_map(Matrix::parameter_mut).collect();
        for block in &mut self.blocks {
            all.extend(block.parameters_mut());
        }
        all.push(&mut self.norm.weight);
        all
    }

    /// The embedding and a separate head.
    fn outer(&self) -> impl Iterator<Item = &Matrix> {
        std::iter::once(&self.embedding).chain(&self.head)
    }

    /// The matrices that are as in their file.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &StoredWeight> {
        self.outer().chain(self.blocks.iter().flat_map(Block::matrices)).filter_map(Matrix::stored)
    }

    /// The adapters' parameters, `A` and `B` of each, in the order of the layers.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = [&Parameter; 2]> {
        self.blocks.iter().flat_map(Block::adapters)
    }

    /// Moves rounded weights to where reading them is fastest.
    fn gather(&mut self) {
        RoundedWeight::gather(self.matrices_mut().filter_map(Matrix::rounded_mut));
    }

    /// The matrices of all layers, the embedding and a separate head.
    fn matrices_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let outer = std::iter::once(&mut self.embedding).chain(&mut self.head);
        outer.chain(self.blocks.iter_mut().flat_map(Block::matrices_mut))
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

    /// The same model without adapters for inference with such weights: nothing trained, layers and head in the order of loaded
    /// ones.
    pub(crate) fn for_inference(mut self, weights: Weights) -> Self {
        for parameter in self.parameters_mut() {
            parameter.training = Training::Frozen;
        }
        match weights {
            Weights::F32 => {
                let order = Order::of_inference(&self.device());
                self.head.as_mut().unwrap_or(&mut self.embedding).order(order);
                self.blocks.iter_mut().flat_map(Block::matrices_mut).for_each(|matrix| matrix.order(order));
            }
            Weights::Bf16 => {
                self.matrices_mut().for_each(Matrix::round);
                self.gather();
            }
        }
        self
    }

    /// A matrix or vector under its Hugging Face name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters().into_iter().find(|parameter| parameter.name == name)
    }

    /// Number of weights, without adapters.
    pub(crate) fn size(&self) -> u64 {
        let outer = self.outer().map(Matrix::size);
        let layers = self.blocks.iter().map(Block::size);
        (outer.chain(layers).sum::<usize>() + self.norm.weight.size()) as u64
    }
}
