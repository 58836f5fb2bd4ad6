//! The operations of a layer on GPUs, and what else composed of Burn's operations would take long.
//!
//! A step that writes a token launches hundreds of kernels, and their launches are what it waits for; a step of training passes
//! over numbers again and again. So there is one kernel for what composed takes up to sixteen. They are written in
//! `CubeCL`, which compiles them for CUDA, Vulkan, Metal and Direct3D 12.

mod adamw;
mod attention;
mod few_rows;
mod gated;
mod layer;
mod product;
mod rms_norm;
mod rotary;
mod rows;
mod squares;
mod tiles;

use burn::{
    backend::{Cube, tensor::FloatTensor},
    cubecl,
    tensor::{self, DType, Shape},
};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

pub(crate) use self::{
    adamw::adamw,
    rows::{add_rows, put},
    squares::squares,
};

/// A tensor of 32-bit floats as the GPUs' backend holds it.
type Floats = FloatTensor<Cube>;

/// Threads of a cube that works on one row.
const UNITS: u32 = 128;
/// Cubes side by side in one dimension, at most, which is what WebGPU grants.
const MOST_CUBES: usize = 65_535;

/// A tensor outside of autodiff as the GPUs' backend holds it.
fn floats<const D: usize>(tensor: tensor::Tensor<D>) -> Floats {
    // Holds since all tensors that this module is given are of a GPU, which are not differentiated here.
    tensor.try_into_primitive::<Cube>().expect("a tensor of a GPU outside of autodiff")
}

/// A matrix that nothing else holds.
fn writable(all: tensor::Tensor<2>) -> Floats {
    let all = floats(all);
    if all.can_mut() && all.is_nonoverlapping() { all } else { all.copy() }
}

/// The same numbers as a tensor of Burn's.
fn matrix<const D: usize>(floats: Floats) -> tensor::Tensor<D> {
    tensor::Tensor::from_primitive::<Cube>(floats)
}

/// Integers as the GPUs' backend holds them.
fn integers(places: &tensor::Tensor<1, tensor::Int>) -> burn::backend::tensor::IntTensor<Cube> {
    // Holds as for floats.
    places.clone().try_into_primitive::<Cube>().expect("integers of a GPU")
}

/// Room for numbers beside others.
fn beside(other: &Floats, shape: impl Into<Shape>) -> Floats {
    let shape = shape.into();
    let handle = other.client.empty(shape.num_elements() * size_of::<f32>());
    Floats::new_contiguous(other.client.clone(), other.device.clone(), shape, handle, DType::F32)
}

/// The size of a matrix.
fn dims(matrix: &Floats) -> [usize; 2] {
    let shape = matrix.meta.shape();
    [shape[0], shape[1]]
}

/// Threads beside each other, one for each of so many numbers and some more, on the device of a tensor.
fn threads(on: &Floats, numbers: usize) -> (CubeCount, CubeDim) {
    let units = CubeDim::new(&on.client, numbers);
    (calculate_cube_count_elemwise(&on.client, numbers, units), units)
}

/// Cubes of [`UNITS`] threads, one for each of so many rows and perhaps some more.
fn cubes(rows: usize) -> CubeCount {
    let beside = rows.clamp(1, MOST_CUBES);
    CubeCount::Static(beside as u32, rows.div_ceil(beside) as u32, 1)
}

/// A number of a matrix.
#[cube]
fn number(matrix: &Tensor<f32>, row: usize, column: usize) -> f32 {
    matrix[row * matrix.stride(0) + column * matrix.stride(1)]
}

/// Finds the largest of what the threads of a cube have written, one number each, and puts it first. Their number is a power of
/// two.
#[cube]
fn find_largest(numbers: &mut Shared<[f32]>) {
    sync_cube();
    let unit = UNIT_POS_X as usize;
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            let larger = max(numbers[unit], numbers[unit + half]);
            numbers[unit] = larger;
        }
        sync_cube();
        half /= 2;
    }
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
