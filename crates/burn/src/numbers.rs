//! The numbers of a tensor, where they stand in memory.
//!
//! Every tensor of this crate that is not an index holds 32-bit floats on the flex device, outside of autodiff wherever it
//! is given to these functions.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::{Device, Tensor, TensorData},
};

/// A tensor of 32-bit floats as the flex backend holds it.
pub(crate) type Floats = FloatTensor<Flex>;

/// A matrix of these numbers, rows first.
pub(crate) fn matrix(numbers: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// A copy of a tensor's numbers, rows first.
pub(crate) fn to_vec<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    read(tensor, <[f32]>::to_vec)
}

/// Looks at a tensor's numbers, rows first.
pub(crate) fn read<const D: usize, R>(tensor: &Tensor<D>, look: impl FnOnce(&[f32]) -> R) -> R {
    look(slice(&primitive(tensor.clone())))
}

/// Changes a tensor's numbers, rows first, in place where nothing else holds them.
pub(crate) fn change<const D: usize>(tensor: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let mut primitive = primitive(tensor);
    change(slice_mut(&mut primitive));
    Tensor::from_primitive::<Flex>(primitive)
}

/// The backend's tensor, contiguous from the beginning of its memory.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> Floats {
    // Holds by this module's rule.
    compact(tensor.try_into_primitive::<Flex>().expect("a tensor of the flex backend outside of autodiff"))
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
