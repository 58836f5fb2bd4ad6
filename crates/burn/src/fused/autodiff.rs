//! The operations as steps of Burn's autodiff graph: what each keeps, and where its derivatives go.

mod stored;

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use lancer_model::Activation;

use self::stored::{AdaptedStoredBackward, StoredBackward};
use super::{AttentionShape, AttentionSpans, Fused, Gated, Lookup, RotaryTable};
use crate::{settings::Products, stored_weight::StoredWeight};

/// A backend's operations one way with what is saved for the way back, and back.
pub(crate) trait Derived: Fused {
    type Normed: Clone + Debug + Send + 'static;
    type Attended: Clone + Debug + Send + 'static;
    type Adapted: Clone + Debug + Send + 'static;
    type Linear: Clone + Debug + Send + 'static;
    type AdaptedStored: Clone + Debug + Send + 'static;

    fn rms_norm_saving(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, Self::Normed);

    /// The gradients by states and, where it is wanted, weight.
    fn rms_norm_back(
        saved: Self::Normed,
        by_output: FloatTensor<Self>,
        wants_weight: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);

    fn rotate_back(by_output: FloatTensor<Self>, rotary_table: Arc<RotaryTable>) -> FloatTensor<Self>;

    /// The gradients by gate and up.
    fn gated_back(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        by_output: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];

    fn attend_saving(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        shape: AttentionShape,
        products: Products,
        spans: Arc<AttentionSpans>,
    ) -> (FloatTensor<Self>, Self::Attended);

    /// The gradients by query, key and value.
    fn attend_back(saved: Self::Attended, by_output: FloatTensor<Self>) -> [FloatTensor<Self>; 3];

    /// `gate` is what the states are computed from, if they can be computed again.
    fn adapted_saving(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (FloatTensor<Self>, Self::Adapted);

    /// The gradients by states, where it is wanted, down and up.
    fn adapted_back(
        saved: Self::Adapted,
        by_output: FloatTensor<Self>,
        wants_states: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]);

    /// As [`adapted_saving`](Self::adapted_saving).
    fn linear_saving(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        products: Products,
        gate: Option<Gated>,
    ) -> (FloatTensor<Self>, Self::Linear);

    /// The gradients by states and weight, those that are wanted.
    fn linear_back(
        saved: Self::Linear,
        by_output: FloatTensor<Self>,
        wants: [bool; 2],
    ) -> [Option<FloatTensor<Self>>; 2];

    /// The gradient by states.
    fn stored_back(
        by_output: FloatTensor<Self>,
        weight: Arc<StoredWeight>,
        products: Products,
    ) -> FloatTensor<Self>;

    /// As [`adapted_saving`](Self::adapted_saving).
    fn adapted_stored_saving(
        states: FloatTensor<Self>,
        weight: Arc<StoredWeight>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (FloatTensor<Self>, Self::AdaptedStored);

    /// As [`adapted_back`](Self::adapted_back).
    fn adapted_stored_back(
        saved: Self::AdaptedStored,
        by_output: FloatTensor<Self>,
        wants_states: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]);

    /// The gradient by states of which there are `count` rows.
    fn look_up_back(by_output: FloatTensor<Self>, lookup: Arc<Lookup>, count: usize) -> FloatTensor<Self>;
}

impl<B: Derived, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let guards = [states.node(), weight.node()];
        let prepared = NormBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let (states, weight) = (states.into_primitive(), weight.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, saved) = B::rms_norm_saving(states, weight, epsilon);
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::rms_norm(states, weight, epsilon)),
        }
    }

    fn rotate(states: FloatTensor<Self>, rotary_table: Arc<RotaryTable>) -> FloatTensor<Self> {
        let guards = [states.node()];
        match RotateBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(rotary_table.clone(), B::rotate(states.into_primitive(), rotary_table))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::rotate(states.into_primitive(), rotary_table)),
        }
    }

    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let guards = [gate.node(), up.node()];
        let prepared = GatedBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let output = B::gated(gate.clone(), up.clone(), activation);
                prep.finish((gate, up, activation), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gated(gate, up, activation)),
        }
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        shape: AttentionShape,
        products: Products,
        spans: Arc<AttentionSpans>,
    ) -> FloatTensor<Self> {
        let guards = [query.node(), key.node(), value.node()];
        let prepared = AttendBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let (query, key, value) = (query.into_primitive(), key.into_primitive(), value.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, saved) = B::attend_saving(query, key, value, shape, products, spans);
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::attend(query, key, value, shape, products, spans)),
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
        let prepared = AdaptedBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let [states, weight, down, up] = [states, weight, down, up].map(FloatTensor::<Self>::into_primitive);
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, saved) = B::adapted_saving(states, weight, down, up, scale, products, gate);
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::adapted(states, weight, down, up, scale, products, None))
            }
        }
    }

    fn linear(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self> {
        let guards = [states.node(), weight.node()];
        let prepared = LinearBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let (states, weight) = (states.into_primitive(), weight.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, saved) = B::linear_saving(states, weight, products, gate);
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(<B as Fused>::linear(states, weight, products, None)),
        }
    }

    fn stored(states: FloatTensor<Self>, weight: Arc<StoredWeight>, products: Products) -> FloatTensor<Self> {
        let guards = [states.node()];
        let prepared = StoredBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let states = states.into_primitive();
        match prepared {
            OpsKind::Tracked(prep) => {
                prep.finish((weight.clone(), products), B::stored(states, weight, products))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::stored(states, weight, products)),
        }
    }

    fn adapted_stored(
        states: FloatTensor<Self>,
        weight: Arc<StoredWeight>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self> {
        let guards = [states.node(), down.node(), up.node()];
        let prepared =
            AdaptedStoredBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let [states, down, up] = [states, down, up].map(FloatTensor::<Self>::into_primitive);
        match prepared {
            OpsKind::Tracked(prep) => {
                let (output, saved) =
                    B::adapted_stored_saving(states, weight, down, up, scale, products, gate);
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::adapted_stored(states, weight, down, up, scale, products, None))
            }
        }
    }

    fn look_up(states: FloatTensor<Self>, lookup: Arc<Lookup>) -> FloatTensor<Self> {
        let guards = [states.node()];
        let prepared = LookUpBackward::<B>(PhantomData).prepare::<C>(guards).compute_bound().stateful();
        let states = states.into_primitive();
        let count = states.shape()[0];
        match prepared {
            OpsKind::Tracked(prep) => prep.finish((lookup.clone(), count), B::look_up(states, lookup)),
            OpsKind::UnTracked(prep) => prep.finish(B::look_up(states, lookup)),
        }
    }
}

#[derive(Debug)]
struct NormBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 2> for NormBackward<B> {
    type State = B::Normed;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [states_node, weight_node] = ops.parents;
        let by_output = grads.consume::<B>(&ops.node);
        let (by_states, by_weight) = B::rms_norm_back(ops.state, by_output, weight_node.is_some());
        if let Some(node) = states_node {
            grads.register::<B>(node.id, by_states);
        }
        if let (Some(node), Some(by_weight)) = (weight_node, by_weight) {
            grads.register::<B>(node.id, by_weight);
        }
    }
}

#[derive(Debug)]
struct RotateBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 1> for RotateBackward<B> {
    type State = Arc<RotaryTable>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::rotate_back(by_output, ops.state));
        }
    }
}

#[derive(Debug)]
struct GatedBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 2> for GatedBackward<B> {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let (gate, up, activation) = ops.state;
        let found = B::gated_back(gate, up, activation, by_output);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AttendBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 3> for AttendBackward<B> {
    type State = B::Attended;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let found = B::attend_back(ops.state, by_output);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AdaptedBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 3> for AdaptedBackward<B> {
    type State = B::Adapted;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let [states, down, up] = ops.parents;
        let (by_states, [by_down, by_up]) = B::adapted_back(ops.state, by_output, states.is_some());
        for (node, gradient) in [(states, by_states), (down, Some(by_down)), (up, Some(by_up))] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct LinearBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 2> for LinearBackward<B> {
    type State = B::Linear;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let wants = ops.parents.each_ref().map(Option::is_some);
        let found = B::linear_back(ops.state, by_output, wants);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct LookUpBackward<B>(PhantomData<B>);

impl<B: Derived> Backward<B, 1> for LookUpBackward<B> {
    /// What was looked up, and among how many rows.
    type State = (Arc<Lookup>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        let (lookup, count) = ops.state;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::look_up_back(by_output, lookup, count));
        }
    }
}
