//! The kernels as steps of Burn's autodiff graph: what each keeps, and where its derivatives go.

use std::sync::Arc;

use burn::backend::{
    Autodiff, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use lancer_model::Activation;

use super::{
    AttentionShape, Fused, Reaches, Turns,
    adapted::Adapted,
    attention,
    gated::{self, Gated, States},
    linear, rms_norm, rotary,
};
use crate::{numbers::Floats, settings::Products};

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let guards = [states.node(), weight.node()];
        match NormBackward.prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (states, weight) = (states.into_primitive(), weight.into_primitive());
                let normed = rms_norm::forward(states.clone(), weight.clone(), epsilon);
                prep.finish(normed.kept(states, weight), normed.output)
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

    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let guards = [gate.node(), up.node()];
        let prepared = GatedBackward.prepare::<C>(guards).compute_bound().stateful();
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let output = gated::forward(gate.clone(), up.clone(), activation);
                prep.finish((gate, up, activation), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::gated(gate, up, activation)),
        }
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        shape: AttentionShape,
        reaches: Arc<Reaches>,
    ) -> FloatTensor<Self> {
        let guards = [query.node(), key.node(), value.node()];
        let prepared = AttendBackward.prepare::<C>(guards).compute_bound().stateful();
        let (query, key, value) = (query.into_primitive(), key.into_primitive(), value.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, log_sums) =
                    attention::forward(query.clone(), key.clone(), value.clone(), shape, &reaches);
                let kept = attention::Kept { query, key, value, shape, reaches, log_sums };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::attend(query, key, value, shape, reaches)),
        }
    }

    fn adapted(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self> {
        let guards = [states.node(), down.node(), up.node()];
        let prepared = AdaptedBackward.prepare::<C>(guards).compute_bound().stateful();
        let states = states.into_primitive();
        let layer = Adapted {
            states: States::Kept(states.clone()),
            weight: weight.into_primitive(),
            down: down.into_primitive(),
            up: up.into_primitive(),
            scale,
            products,
        };
        match prepared {
            OpsKind::Tracked(prep) => {
                let output = layer.clone().forward();
                prep.finish(Adapted { states: States::new(&states, gate), ..layer }, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(layer.forward()),
        }
    }

    fn linear(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self> {
        let guards = [states.node(), weight.node()];
        let prepared = LinearBackward.prepare::<C>(guards).compute_bound().stateful();
        let (states, weight) = (states.into_primitive(), weight.into_primitive());
        let output = linear::forward(states.clone(), weight.clone(), products);
        match prepared {
            OpsKind::Tracked(prep) => {
                let states = States::new(&states, gate);
                prep.finish(linear::Kept { states, weight, products }, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 2> for NormBackward {
    type State = rms_norm::Kept;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [states_node, weight_node] = ops.parents;
        let by_output = grads.consume::<Flex>(&ops.node);
        let found = rms_norm::backward(ops.state, by_output, weight_node.is_some());
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
struct GatedBackward;

impl Backward<Flex, 2> for GatedBackward {
    type State = (Floats, Floats, Activation);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let (gate, up, activation) = ops.state;
        let (by_gate, by_up) = gated::backward(gate, up, activation, by_output);
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

#[derive(Debug)]
struct AdaptedBackward;

impl Backward<Flex, 3> for AdaptedBackward {
    type State = Adapted;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let [states, down, up] = ops.parents;
        let (by_states, by_down, by_up) = ops.state.backward(by_output, states.is_some());
        for (node, gradient) in [(states, by_states), (down, Some(by_down)), (up, Some(by_up))] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct LinearBackward;

impl Backward<Flex, 2> for LinearBackward {
    type State = linear::Kept;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<Flex>(&ops.node);
        let wants = ops.parents.each_ref().map(Option::is_some);
        let found = linear::backward(ops.state, by_output, wants);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}
