//! The products of 32-bit floats in this program's memory, outside of autodiff: Burn's with many rows, and with few rows one that is
//! nearly as fast as the weights come from memory. Burn's own uses one thread for few rows.

use burn::{backend::Flex, tensor::Tensor};
use lancer_kernels::matmul::{FEW_ROWS, StridedWeight, multiply_few_rows};

use crate::numbers::{Floats, matrix, primitive, slice};

/// The products of the same states with several weights: threads are started once for all.
pub(crate) fn products_of<const N: usize>(states: Tensor<2>, weights: [Tensor<2>; N]) -> [Tensor<2>; N] {
    let rows = states.dims()[0];
    let is_differentiated = states.is_autodiff() || weights.iter().any(Tensor::is_autodiff);
    if rows == 0 || rows > FEW_ROWS || is_differentiated {
        return weights.map(|weight| states.clone().matmul(weight));
    }
    let device = states.device();
    let states = primitive(states);
    let weights = weights.map(|weight| {
        // Holds since the states are on flex, and this is outside of autodiff.
        weight.try_into_primitive::<Flex>().expect("weights of the flex backend outside of autodiff")
    });
    let strided = weights.each_ref().map(strided);
    let mut outputs = strided.map(|weight| vec![0.0; rows * weight.outputs()]);
    multiply_few_rows(slice(&states), rows, &strided, &mut outputs);
    let mut outputs = outputs.into_iter();
    strided.map(|weight| matrix(outputs.next().unwrap_or_default(), [rows, weight.outputs()], &device))
}

/// The weights where they are in memory, as a part of a tensor or transposed in it.
fn strided(weight: &Floats) -> StridedWeight<'_> {
    let layout = weight.layout();
    let (shape, strides) = (layout.shape(), layout.strides());
    StridedWeight::new(
        weight.storage(),
        layout.start_offset(),
        [shape[0], shape[1]],
        [strides[0], strides[1]],
    )
}
