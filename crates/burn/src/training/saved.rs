//! The passes through the layers, and what a forward pass keeps for its backward pass.
//!
//! The gradients of the embedding and of the head are computed outside of here: of the first few rows are not zero, and the
//! second is made in parts.

use std::sync::Arc;

use burn::tensor::{Gradients as BurnGradients, Tensor};

use super::{activations::Keeping, gradients::Gradients, packed::Packed};
use crate::{
    fused::{self, Lookup},
    settings::{Products, TrainSettings},
    transformer::{Dropping, Layout, Parameter, Pass, Transformer},
};

/// What a forward pass keeps.
pub(crate) enum Saved {
    Graph(Box<Graph>),
    Inputs(Box<Inputs>),
}

/// The normed states of the rows that predict targets, `[targets, hidden]`, without a graph.
pub(crate) fn without_graph(transformer: &Transformer, packed: &Packed, products: Products) -> Tensor<2> {
    let layout = layout(transformer, packed);
    let mut pass = Pass { layout: &layout, cache: None, products, dropping: Dropping::Never };
    let states = transformer.layers(transformer.embed(&packed.tokens), &mut pass);
    transformer.norm.forward(rows(states, &packed.predicting))
}

/// The whole graph.
pub(crate) struct Graph {
    watched: Transformer,
    /// The embeddings, watched where the embedding is trained.
    embeddings: Tensor<2>,
    /// The normed states of the rows that predict targets.
    states: Tensor<2>,
}

/// The input of each layer, and of the last norm.
pub(crate) struct Inputs {
    layers: Vec<Tensor<2>>,
    norm: Tensor<2>,
    predicting: Vec<usize>,
    layout: Layout,
    products: Products,
    dropping: Dropping,
}

impl Saved {
    /// The saved tensors, and the normed states of the rows that predict targets, `[targets, hidden]`, outside of the graph.
    pub(crate) fn forward(
        transformer: &Transformer,
        packed: &Packed,
        settings: &TrainSettings,
        dropping: Dropping,
    ) -> (Self, Tensor<2>) {
        let products = settings.products;
        let layout = layout(transformer, packed);
        let mut pass = Pass { layout: &layout, cache: None, products, dropping };
        let embeddings = transformer.embed(&packed.tokens);
        match Keeping::of(settings.activations, transformer, packed) {
            Keeping::Everything => {
                let watched = transformer.watched();
                let embeddings =
                    if transformer.embedding.is_trained() { leaf(embeddings) } else { embeddings };
                let states = watched.layers(embeddings.clone(), &mut pass);
                let states = watched.norm.forward(rows(states, &packed.predicting));
                let plain = states.clone().inner();
                (Self::Graph(Box::new(Graph { watched, embeddings, states })), plain)
            }
            Keeping::Inputs => {
                let mut inputs = Vec::with_capacity(transformer.blocks.len());
                let mut states = embeddings;
                for (layer, block) in transformer.blocks.iter().enumerate() {
                    inputs.push(states.clone());
                    states = block.forward(states, layer, &mut pass);
                }
                let normed = transformer.norm.forward(rows(states.clone(), &packed.predicting));
                let predicting = packed.predicting.clone();
                let inputs = Inputs { layers: inputs, norm: states, predicting, layout, products, dropping };
                (Self::Inputs(Box::new(inputs)), normed)
            }
        }
    }

    /// Adds the gradients of the layers and the last norm, from that by the normed states. Gives the gradient by the
    /// embeddings, `[rows, hidden]`, where the embedding is trained.
    pub(crate) fn backward(
        self,
        transformer: &Transformer,
        by_states: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        match self {
            Self::Graph(graph) => {
                let Graph { watched, embeddings, states } = *graph;
                let mut found = backward(states, by_states);
                let outer = watched.outer_parameters();
                add(gradients, outer, &watched.parameters()[outer..], &mut found);
                if embeddings.is_autodiff() { embeddings.grad_remove(&mut found) } else { None }
            }
            Self::Inputs(saved) => {
                let Inputs { layers: mut inputs, norm: last, predicting, layout, products, dropping } =
                    *saved;
                let mut norm = transformer.norm.clone();
                norm.weight.watch();
                let last = leaf(last);
                let states = norm.forward(rows(last.clone(), &predicting));
                let mut found = backward(states, by_states);
                let count = transformer.parameters().len();
                add(gradients, count - 1, &[&norm.weight], &mut found);
                let mut by_output = last.grad_remove(&mut found);
                drop((last, found));
                for (layer, block) in transformer.blocks.iter().enumerate().rev() {
                    let (Some(input), Some(by)) = (inputs.pop(), by_output.take()) else { return None };
                    let wanted = layer > 0 || transformer.embedding.is_trained();
                    let input = if wanted { leaf(input) } else { input };
                    let mut block = block.clone();
                    for parameter in block.parameters_mut() {
                        parameter.watch();
                    }
                    let mut pass = Pass { layout: &layout, cache: None, products, dropping };
                    let output = block.forward(input.clone(), layer, &mut pass);
                    let mut found = backward(output, by);
                    add(gradients, transformer.first_parameter(layer), &block.parameters(), &mut found);
                    by_output = if wanted { input.grad_remove(&mut found) } else { None };
                }
                by_output
            }
        }
    }
}

fn layout(transformer: &Transformer, packed: &Packed) -> Layout {
    Layout::packed(&transformer.config, &packed.segments)
}

fn leaf(states: Tensor<2>) -> Tensor<2> {
    states.autodiff().require_grad()
}

fn rows(states: Tensor<2>, indices: &[usize]) -> Tensor<2> {
    fused::look_up(states, Arc::new(Lookup::new(indices.iter().copied().map(Some))))
}

/// Goes back from `output`, given the gradient by it.
fn backward(output: Tensor<2>, by_output: Tensor<2>) -> BurnGradients {
    // The derivative of this sum by the output is `by_output`.
    (output * by_output).sum().backward()
}

fn add(gradients: &mut Gradients, first: usize, watched: &[&Parameter], found: &mut BurnGradients) {
    for (place, parameter) in watched.iter().enumerate() {
        if parameter.is_trained()
            && let Some(gradient) = parameter.gradient(found)
        {
            gradients.add(first + place, gradient);
        }
    }
}
