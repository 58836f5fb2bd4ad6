//! What stands for the kernels for graphics cards where no such device is built in: there is no tensor to call them with.

use burn::tensor::{Int, Tensor};

use crate::{fused::Lookup, training::Update};

/// Nothing is padded.
#[derive(Debug)]
pub(crate) struct Padded;

pub(crate) fn put(_: Tensor<2>, _: &Tensor<2>, _: &Tensor<1, Int>) -> Tensor<2> {
    unreachable!("{NO_CARD}")
}

pub(crate) fn add_rows(_: Tensor<2>, _: &Tensor<2>, _: &Lookup) -> Tensor<2> {
    unreachable!("{NO_CARD}")
}

pub(crate) fn adamw(_: [Tensor<2>; 3], _: &Tensor<2>, _: Update) -> [Tensor<2>; 3] {
    unreachable!("{NO_CARD}")
}

pub(crate) fn squares(tensors: &[&Tensor<2>]) -> Vec<f32> {
    assert!(tensors.is_empty(), "{NO_CARD}");
    Vec::new()
}

/// Why none of these is called.
const NO_CARD: &str = "tensors are on the processor in a program that was built without other devices";
