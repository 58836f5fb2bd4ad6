//! Takes the place of the kernels for GPUs in a program that is built without them, where no tensor calls them.

use burn::tensor::{Int, Tensor};

use lancer_kernels::adamw::AdamWStep;

use crate::fused::Lookup;

pub(crate) fn put(_: Tensor<2>, _: &Tensor<2>, _: &Tensor<1, Int>) -> Tensor<2> {
    unreachable!("{NO_GPU}")
}

pub(crate) fn add_rows(_: Tensor<2>, _: &Tensor<2>, _: &Lookup) -> Tensor<2> {
    unreachable!("{NO_GPU}")
}

pub(crate) fn adamw(_: [Tensor<2>; 3], _: &Tensor<2>, _: AdamWStep) -> [Tensor<2>; 3] {
    unreachable!("{NO_GPU}")
}

pub(crate) fn squares(tensors: &[&Tensor<2>]) -> Vec<f32> {
    assert!(tensors.is_empty(), "{NO_GPU}");
    Vec::new()
}

/// Why none of these is called.
const NO_GPU: &str = "tensors are on the processor in a program that was built without other devices";
