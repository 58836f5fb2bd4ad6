//! Kernels for graphics cards, one for what composed of Burn's operations takes up to sixteen: a step that writes a token
//! launches hundreds of kernels, and their launches are what it waits for.
//!
//! Written in `CubeCL`, which compiles them for CUDA, Vulkan, Metal and Direct3D 12. Each gives `None` for tensors of other devices
//! and inside of autodiff.

mod adamw;
mod attention;
mod gated;
mod rms_norm;
mod rotary;

use burn::{
    backend::{Cube, tensor::FloatTensor},
    cubecl,
    tensor::{self, DType, Shape},
};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

pub(crate) use self::{adamw::adamw, attention::attend, gated::gated, rms_norm::rms_norm, rotary::rotate};

/// A tensor as the cards' backend holds it.
type Floats = FloatTensor<Cube>;

/// Threads of a cube that works on one row.
const UNITS: u32 = 128;
/// Cubes side by side in one dimension, at most, which is what WebGPU grants.
const MOST_CUBES: usize = 65_535;

/// A tensor of 32-bit floats as the cards' backend holds it.
fn floats<const D: usize>(tensor: &tensor::Tensor<D>) -> Option<Floats> {
    let floats = tensor.clone().try_into_primitive::<Cube>().ok()?;
    (floats.dtype == DType::F32).then_some(floats)
}

/// One whose rows are each in one piece.
fn in_rows<const D: usize>(tensor: &tensor::Tensor<D>) -> Option<Floats> {
    floats(tensor).filter(|floats| floats.meta.strides().last() == Some(&1))
}

/// Room for a matrix beside another.
fn beside(other: &Floats, shape: [usize; 2]) -> Floats {
    let handle = other.client.empty(shape[0] * shape[1] * size_of::<f32>());
    Floats::new_contiguous(other.client.clone(), other.device.clone(), Shape::from(shape), handle, DType::F32)
}

/// Threads beside each other, one for each of so many numbers and some more, on the device of a tensor.
fn threads(on: &Floats, numbers: usize) -> (CubeCount, CubeDim) {
    let units = CubeDim::new(&on.client, numbers);
    (calculate_cube_count_elemwise(&on.client, numbers, units), units)
}

/// Adds up what the threads of a cube have written, one number each, into the first. Their number is a power of two.
#[cube]
fn add_up(numbers: &mut Shared<[f32]>) {
    sync_cube();
    let unit = UNIT_POS_X as usize;
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            let other = numbers[unit + half];
            numbers[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
}

/// The tensor that a kernel has written.
fn written(floats: Floats) -> tensor::Tensor<2> {
    tensor::Tensor::from_primitive::<Cube>(floats)
}
