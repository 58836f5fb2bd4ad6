//! The operations of a layer that are not matrix products, each one kernel with its derivative, as an extension of Burn.
//!
//! Composed of Burn's own operations they would take some forty passes over memory in each layer, each on one core and into
//! a tensor of its own, and training would spend as long in them as in the matrix products.

mod attention;
mod rms_norm;
mod rotary;
mod swiglu;

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Tensor, TensorData},
};

pub(crate) use self::{
    attention::{Heads, Reach},
    rotary::Turns,
};
use crate::numbers::Floats;

/// Numbers that one thread takes at a time.
const CHUNK: usize = 1 << 14;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait Fused: Backend {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;
    fn rotate(states: FloatTensor<Self>, turns: Arc<Turns>) -> FloatTensor<Self>;
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
        reaches: Arc<[Reach]>,
    ) -> FloatTensor<Self>;
}

/// RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467) of each row of `states: [rows, width]`:
/// `x / √(mean(x²) + ε) · w`, with `weight: [1, width]`.
pub(crate) fn rms_norm(states: Tensor<2>, weight: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let (states, weight) = (states.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::rms_norm(states, weight, epsilon))
}

/// The rotary embedding of `states: [rows, heads · head_dim]`.
pub(crate) fn rotate(states: Tensor<2>, turns: Arc<Turns>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::rotate(states.into_dispatch(), turns))
}

/// `silu(gate) · up` (Shazeer 2020, arXiv 2002.05202), number by number.
pub(crate) fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// Causal attention with grouped queries: `query: [rows, heads · head_dim]` over `key` and `value: [tokens, kv_heads ·
/// head_dim]`, each of `reaches` by itself. The reaches' queries are all rows, in order.
pub(crate) fn attend(
    query: Tensor<2>,
    key: Tensor<2>,
    value: Tensor<2>,
    heads: Heads,
    reaches: Arc<[Reach]>,
) -> Tensor<2> {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::attend(query, key, value, heads, reaches))
}

impl Fused for Flex {
    fn rms_norm(states: Floats, weight: Floats, epsilon: f64) -> Floats {
        rms_norm::forward(states, weight, epsilon).output
    }

    fn rotate(states: Floats, turns: Arc<Turns>) -> Floats {
        rotary::turn(states, &turns, rotary::Direction::Forward)
    }

    fn swiglu(gate: Floats, up: Floats) -> Floats {
        swiglu::forward(gate, up)
    }

    fn attend(query: Floats, key: Floats, value: Floats, heads: Heads, reaches: Arc<[Reach]>) -> Floats {
        attention::forward(query, key, value, heads, &reaches).0
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let guards = [states.node(), weight.node()];
        match NormBackward.prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (states, weight) = (states.into_primitive(), weight.into_primitive());
                let normed = rms_norm::forward(states.clone(), weight.clone(), epsilon);
                prep.finish((states, weight, normed.inverse), normed.output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::rms_norm(states.into_primitive(), weight.into_primitive(), epsilon))
            }
        }
    }

    fn rotate(states: FloatTensor<Self>, turns: Arc<Turns>) -> FloatTensor<Self> {
        match RotateBackward.prepare::<C>([states.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(turns.clone(), Flex::rotate(states.into_primitive(), turns))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::rotate(states.into_primitive(), turns)),
        }
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let guards = [gate.node(), up.node()];
        match SwiGluBackward.prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (gate, up) = (gate.into_primitive(), up.into_primitive());
                let output = swiglu::forward(gate.clone(), up.clone());
                prep.finish((gate, up), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::swiglu(gate.into_primitive(), up.into_primitive())),
        }
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
        reaches: Arc<[Reach]>,
    ) -> FloatTensor<Self> {
        let guards = [query.node(), key.node(), value.node()];
        let prepared = AttendBackward.prepare::<C>(guards).compute_bound().stateful();
        let (query, key, value) = (query.into_primitive(), key.into_primitive(), value.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, probabilities) =
                    attention::forward(query.clone(), key.clone(), value.clone(), heads, &reaches);
                let kept = attention::Kept { query, key, value, heads, reaches, probabilities };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::attend(query, key, value, heads, reaches)),
        }
    }
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 2> for NormBackward {
    type State = (Floats, Floats, Vec<f32>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [states_node, weight_node] = ops.parents;
        let (states, weight, inverse) = ops.state;
        let by_output = grads.consume::<Flex>(&ops.node);
        let found = rms_norm::backward(states, weight, &inverse, by_output, weight_node.is_some());
        if let Some(node) = states_node {
            grads.register::<Flex>(node.id, found.states);
        }
        if let (Some(node), Some(weight)) = (weight_node, found.weight) {
            grads.register::<Flex>(node.id, weight);
        }
    }
}

#[derive(Debug)]
struct RotateBackward;

impl Backward<Flex, 1> for RotateBackward {
    type State = Arc<Turns>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            let by_states = rotary::turn(by_output, &ops.state, rotary::Direction::Back);
            grads.register::<Flex>(node.id, by_states);
        }
    }
}

#[derive(Debug)]
struct SwiGluBackward;

impl Backward<Flex, 2> for SwiGluBackward {
    type State = (Floats, Floats);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let (gate, up) = ops.state;
        let (by_gate, by_up) = swiglu::backward(gate, up, by_output);
        let [gate_node, up_node] = ops.parents;
        for (node, gradient) in [(gate_node, by_gate), (up_node, by_up)] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AttendBackward;

impl Backward<Flex, 3> for AttendBackward {
    type State = attention::Kept;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let found = attention::backward(ops.state, by_output);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// A matrix of these numbers, rows first.
fn tensor(numbers: Vec<f32>, shape: [usize; 2]) -> Floats {
    Floats::from_data(TensorData::new(numbers, shape))
}

#[cfg(test)]
mod tests;
