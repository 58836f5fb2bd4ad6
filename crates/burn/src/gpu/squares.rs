//! Sums of squares, for the norm of a gradient: a kernel a tensor, and one transfer for all.

use burn::{cubecl, tensor};
use cubecl::prelude::*;

use super::{Floats, UNITS, add_up, beside, cubes, dims, floats, matrix, number};
use crate::numbers::to_vec;

/// Numbers that a cube of threads adds up at least.
const AT_LEAST: usize = 1 << 14;
/// Cubes to a tensor at most.
const MOST: usize = 256;

/// Sums of the squares of parts of some tensors, in an order that is always the same, as a training that goes on from
/// a checkpoint needs it.
pub(crate) fn squares(tensors: &[&tensor::Tensor<2>]) -> Vec<f32> {
    let tensors: Vec<Floats> = tensors.iter().map(|&tensor| floats(tensor.clone())).collect();
    let Some(first) = tensors.first() else { return Vec::new() };
    let parts = |tensor: &Floats| dims(tensor).iter().product::<usize>().div_ceil(AT_LEAST).min(MOST);
    let sums = beside(first, [1, tensors.iter().map(parts).sum()]);
    let mut start = 0;
    for tensor in tensors {
        let count = parts(&tensor);
        if count > 0 {
            summed::launch(
                &tensor.client.clone(),
                cubes(count),
                CubeDim::new_1d(UNITS),
                tensor.into_tensor_arg(),
                sums.clone().into_tensor_arg(),
                start,
                count,
                UNITS as usize,
            );
        }
        start += count;
    }
    to_vec(&matrix::<2>(sums))
}

#[cube(launch)]
fn summed(
    numbers: &Tensor<f32>,
    sums: &mut Tensor<f32>,
    start: usize,
    parts: usize,
    #[comptime] units: usize,
) {
    let (part, unit, width) = (CUBE_POS, UNIT_POS_X as usize, numbers.shape(1));
    let count = numbers.shape(0) * width;
    let mut sum = 0.0f32;
    let mut place = CUBE_POS * units + UNIT_POS_X as usize;
    while place < count {
        let one = number(numbers, place / width, place % width);
        sum += one * one;
        place += parts * units;
    }
    let mut threads = Shared::<[f32]>::new_slice(units);
    threads[unit] = sum;
    add_up(&mut threads);
    if unit == 0 {
        sums[start + part] = threads[0];
    }
}
