//! What stands for the kernels for graphics cards where no such device is built in: nothing is computed with them.

use burn::tensor::Tensor;
use lancer_model::Activation;

use crate::{
    fused::{AttentionShape, Listed, Turns},
    training::Update,
};

pub(crate) fn rms_norm(_: &Tensor<2>, _: &Tensor<2>, _: f64) -> Option<Tensor<2>> {
    None
}

pub(crate) fn rotate(_: &Tensor<2>, _: &Turns) -> Option<Tensor<2>> {
    None
}

pub(crate) fn gated(_: &Tensor<2>, _: &Tensor<2>, _: Activation) -> Option<Tensor<2>> {
    None
}

pub(crate) fn attend(
    _: &Tensor<2>,
    _: &Tensor<2>,
    _: &Tensor<2>,
    _: AttentionShape,
    _: impl FnOnce() -> Option<Listed>,
) -> Option<Tensor<2>> {
    None
}

pub(crate) fn adamw(_: &[Tensor<2>; 3], _: &Tensor<2>, _: Update) -> Option<[Tensor<2>; 3]> {
    None
}
