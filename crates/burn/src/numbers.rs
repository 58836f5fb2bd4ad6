//! The numbers of a tensor in memory.
//!
//! Every tensor of this crate that is not an index holds 32-bit floats, outside of autodiff wherever it is given to these
//! functions. The flex device holds its tensors in this program's memory, where kernels change them; other tensors
//! are only read from here.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::{Device, Int, Tensor, TensorData},
};
use lancer_kernels::matmul::RoundedMatrix;

/// A tensor of 32-bit floats as the flex backend holds it.
pub(crate) type Floats = FloatTensor<Flex>;

/// A matrix of these numbers, rows first.
pub(crate) fn matrix(numbers: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// A matrix of these numbers as the flex backend holds it, rows first.
pub(crate) fn tensor(numbers: Vec<f32>, shape: [usize; 2]) -> Floats {
    Floats::from_data(TensorData::new(numbers, shape))
}

/// These numbers of rows or columns.
pub(crate) fn indices(places: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

/// A copy of a tensor's numbers, rows first.
pub(crate) fn to_vec<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    read(tensor, <[f32]>::to_vec)
}

/// A tensor's numbers, rows first; not copied where they stand here and nothing else holds them.
pub(crate) fn into_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    if !is_here(&tensor) {
        return to_vec(&tensor);
    }
    // Holds by this module's rule.
    primitive(tensor).into_data().try_into_vec().expect("32-bit floats")
}

/// Looks at a tensor's numbers, rows first; they are copied from another device.
pub(crate) fn read<const D: usize, R>(tensor: &Tensor<D>, look: impl FnOnce(&[f32]) -> R) -> R {
    if is_here(tensor) {
        return look(slice(&primitive(tensor.clone())));
    }
    // A device fails where its memory is full or the driver breaks: as with this program's own memory, nothing is left to do.
    let data = tensor.clone().try_into_data().unwrap_or_else(|error| panic!("the device failed: {error}"));
    // Holds by this module's rule.
    look(data.as_slice().expect("32-bit floats"))
}

/// Whether a tensor's numbers stand in this program's memory, inside of autodiff or not.
pub(crate) fn is_here<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device() == Device::flex()
}

/// Changes the numbers of a tensor that stands here, rows first, in place where nothing else holds them.
pub(crate) fn change<const D: usize>(tensor: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let mut primitive = primitive(tensor);
    change(slice_mut(&mut primitive));
    Tensor::from_primitive::<Flex>(primitive)
}

/// Changes the numbers of several tensors of one size that stand here, as [`change`].
pub(crate) fn change_all<const N: usize>(
    tensors: [Tensor<2>; N],
    change: impl FnOnce([&mut [f32]; N]),
) -> [Tensor<2>; N] {
    let mut primitives = tensors.map(primitive);
    change(primitives.each_mut().map(slice_mut));
    primitives.map(Tensor::from_primitive::<Flex>)
}

/// A tensor out of its place, so that nothing else holds it while it is changed and it need not be copied. It must be put
/// back.
pub(crate) fn taken(place: &mut Tensor<2>) -> Tensor<2> {
    let nothing = matrix(vec![0.0], [1, 1], &place.device());
    std::mem::replace(place, nothing)
}

/// The backend's tensor, as it is in memory.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Floats {
    // Holds by this module's rule.
    tensor.try_into_primitive::<Flex>().expect("a tensor of the flex backend outside of autodiff")
}

/// A matrix, rounded to bf16; its order in memory stays.
pub(crate) fn rounded(matrix: Floats) -> RoundedMatrix {
    let shape = matrix.layout().shape();
    let shape = [shape[0], shape[1]];
    if matrix.layout().strides() == [1, shape[0] as isize] {
        let start = matrix.layout().start_offset();
        RoundedMatrix::of_column_major(&matrix.storage::<f32>()[start..][..shape[0] * shape[1]], shape)
    } else {
        RoundedMatrix::new(slice(&compact(matrix)), shape)
    }
}

/// The backend's tensor, contiguous from the beginning of its memory.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> Floats {
    compact(floats(tensor))
}

/// The same tensor, contiguous from the beginning of its memory and alone in it; not copied where it is.
pub(crate) fn compact(tensor: Floats) -> Floats {
    let elements = tensor.layout().num_elements();
    let is_compact = tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.storage::<f32>().len() == elements;
    if is_compact {
        return tensor;
    }
    let layout = tensor.layout().shape().to_vec();
    let numbers: Vec<f32> = match tensor.as_slice() {
        Some(numbers) => numbers.to_vec(),
        None => slice(&tensor.to_contiguous())[..elements].to_vec(),
    };
    Floats::from_data(TensorData::new(numbers, layout))
}

/// The numbers of a compact tensor.
pub(crate) fn slice(tensor: &Floats) -> &[f32] {
    tensor.storage()
}

/// The numbers of a compact tensor, which are copied first where something else holds them.
pub(crate) fn slice_mut(tensor: &mut Floats) -> &mut [f32] {
    tensor.storage_mut()
}

/// A matrix of numbers between -1 and 1, for tests.
#[cfg(test)]
pub(crate) fn waves(shape: [usize; 2], phase: f32) -> Tensor<2> {
    let numbers = (0..shape[0] * shape[1]).map(|i| (i as f32 * 1.7 + phase).sin()).collect();
    matrix(numbers, shape, &Device::flex())
}
