//! One weight matrix or vector.

use burn::tensor::{Device, Gradients, Tensor};
use lancer_backend::TokenId;
use rayon::prelude::*;

use crate::numbers::{self, indices, matrix, taken, to_vec};

/// Whether a weight is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Training {
    Frozen,
    Trained,
}

/// How a matrix stands in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As in files: `[output, input]` for a linear layer, `[vocabulary, hidden]` for an embedding; `[1, width]` for a
    /// vector.
    AsInFiles,
    /// `[input, output]`, for a head `[hidden, vocabulary]`. A linear layer is then `x W`, and its gradient `xᵀ dy` comes out in
    /// the order of the weights, so the optimizer reads both without a transposed copy.
    Transposed,
}

impl Order {
    /// In which a product with few rows, such as a token each of some samples, is fastest.
    pub(crate) fn of_inference(device: &Device) -> Self {
        // `gemm` takes outputs from where they stand beside each other, two vectors of them for each input. With AVX-512 those
        // are two whole lines of the cache; with shorter vectors, copying the weights of some outputs together is faster.
        if *device == Device::flex() && !has_long_vectors() { Self::AsInFiles } else { Self::Transposed }
    }
}

/// Whether this processor has AVX-512, whatever this program was built for: `gemm` chooses its kernels when it runs too.
#[cfg(target_arch = "x86_64")]
fn has_long_vectors() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

/// Other processors have no AVX-512.
#[cfg(not(target_arch = "x86_64"))]
fn has_long_vectors() -> bool {
    false
}

/// One weight matrix or vector.
#[derive(Clone)]
pub(crate) struct Parameter {
    /// Its Hugging Face name.
    pub(crate) name: String,
    /// Its shape in files; a vector has one dimension here.
    pub(crate) shape: Vec<usize>,
    pub(crate) value: Tensor<2>,
    pub(crate) training: Training,
    /// By what the learning rate is multiplied for it.
    pub(crate) rate: f64,
    order: Order,
}

impl Parameter {
    /// `data` is in the order of files.
    pub(crate) fn new(
        name: String,
        shape: Vec<usize>,
        data: Vec<f32>,
        order: Order,
        training: Training,
        device: &Device,
    ) -> Self {
        let [rows, columns] = rows_and_columns(&shape);
        let value = match order {
            Order::AsInFiles => matrix(data, [rows, columns], device),
            Order::Transposed => matrix(transposed(&data, rows, columns), [columns, rows], device),
        };
        Self { name, shape, value, training, rate: 1.0, order }
    }

    /// The same matrix in this order.
    pub(crate) fn ordered(&self, order: Order) -> Self {
        if order == self.order {
            return self.clone();
        }
        let (name, shape, device) = (self.name.clone(), self.shape.clone(), self.value.device());
        Self::new(name, shape, self.in_files(), order, self.training, &device)
    }

    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn is_trained(&self) -> bool {
        self.training == Training::Trained
    }

    pub(crate) fn is_matrix(&self) -> bool {
        self.shape.len() == 2
    }

    /// Replaces the weights by others in the order of memory.
    pub(crate) fn put(&mut self, data: Vec<f32>) {
        self.value = matrix(data, self.value.dims(), &self.value.device());
    }

    /// Makes other weights of these, which nothing else holds meanwhile where nothing did before.
    pub(crate) fn update(&mut self, update: impl FnOnce(Tensor<2>) -> Tensor<2>) {
        self.value = update(taken(&mut self.value));
    }

    /// The weights in the order of files.
    pub(crate) fn in_files(&self) -> Vec<f32> {
        match self.order {
            Order::AsInFiles => to_vec(&self.value),
            Order::Transposed => {
                let [columns, rows] = self.value.dims();
                numbers::read(&self.value, |weights| transposed(weights, columns, rows))
            }
        }
    }

    /// As the matrix `[input, output]` or `[hidden, vocabulary]` of a product, whatever its order.
    pub(crate) fn factor(&self) -> Tensor<2> {
        match self.order {
            Order::AsInFiles => self.value.clone().transpose(),
            Order::Transposed => self.value.clone(),
        }
    }

    /// The rows of these tokens in a matrix `[vocabulary, hidden]`, whatever its order.
    pub(crate) fn rows_of(&self, tokens: &[TokenId]) -> Tensor<2> {
        let ids = indices(tokens.iter().map(|token| token.0 as usize), &self.value.device());
        match self.order {
            Order::AsInFiles => self.value.clone().select(0, ids),
            Order::Transposed => self.value.clone().select(1, ids).transpose(),
        }
    }

    /// Makes autodiff watch a weight that is trained.
    pub(crate) fn watch(&mut self) {
        if self.is_trained() {
            self.value = self.value.clone().autodiff().require_grad();
        }
    }

    /// The gradient of a watched parameter, which leaves `gradients`.
    pub(crate) fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<2>> {
        self.value.grad_remove(gradients)
    }
}

fn transposed(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    /// Squares of this side fit into the first cache.
    const SIDE: usize = 32;
    let mut result = vec![0.0; data.len()];
    result.par_chunks_mut(SIDE * rows).enumerate().for_each(|(band, result)| {
        for top in (0..rows).step_by(SIDE) {
            for (column, result) in result.chunks_exact_mut(rows).enumerate() {
                let column = band * SIDE + column;
                for row in top..rows.min(top + SIDE) {
                    result[row] = data[row * columns + column];
                }
            }
        }
    });
    result
}

fn rows_and_columns(shape: &[usize]) -> [usize; 2] {
    match *shape {
        [rows, columns] => [rows, columns],
        _ => [1, shape.iter().product()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_matrix_is_written_as_it_was_read() {
        let data: Vec<f32> = (0..40 * 70).map(|i| i as f32).collect();
        let parameter = Parameter::new(
            "one".into(),
            vec![40, 70],
            data.clone(),
            Order::Transposed,
            Training::Frozen,
            &Device::flex(),
        );
        assert_eq!(parameter.value.dims(), [70, 40]);
        assert_eq!(parameter.in_files(), data);
    }
}
