//! The way back through layers over matrices that stay as they are in their file.

use std::{marker::PhantomData, sync::Arc};

use burn::backend::autodiff::{
    checkpoint::base::Checkpointer,
    grads::Gradients,
    ops::{Backward, Ops},
};

use super::Derived;
use crate::{settings::Products, stored_weight::StoredWeight};

#[derive(Debug)]
pub(super) struct StoredBackward<B>(pub(super) PhantomData<B>);

impl<B: Derived> Backward<B, 1> for StoredBackward<B> {
    type State = (Arc<StoredWeight>, Products);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        let (weight, products) = ops.state;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::stored_back(by_output, weight, products));
        }
    }
}

#[derive(Debug)]
pub(super) struct AdaptedStoredBackward<B>(pub(super) PhantomData<B>);

impl<B: Derived> Backward<B, 3> for AdaptedStoredBackward<B> {
    type State = B::AdaptedStored;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = grads.consume::<B>(&ops.node);
        let [states, down, up] = ops.parents;
        let (by_states, [by_down, by_up]) = B::adapted_stored_back(ops.state, by_output, states.is_some());
        for (node, gradient) in [(states, by_states), (down, Some(by_down)), (up, Some(by_up))] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
