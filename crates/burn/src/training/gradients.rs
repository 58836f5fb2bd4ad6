//! The gradient, summed over backward passes until a step.

use burn::tensor::Tensor;
use lancer_backend::TokenId;

use super::adamw::norm;
use crate::{
    fused::Lookup,
    gpu,
    numbers::{change, is_here, read},
};

/// One gradient a parameter, in the order of the transformer's parameters; `None` where nothing has been added.
pub(crate) struct Gradients {
    sums: Vec<Option<Tensor<2>>>,
}

impl Gradients {
    pub(crate) fn new(parameters: usize) -> Self {
        Self { sums: vec![None; parameters] }
    }

    pub(crate) fn add(&mut self, parameter: usize, gradient: Tensor<2>) {
        let sum = &mut self.sums[parameter];
        *sum = Some(match sum.take() {
            Some(known) => known + gradient,
            None => gradient,
        });
    }

    /// Adds the gradients of the rows of an embedding that were looked up, `[tokens, hidden]`.
    pub(crate) fn add_to_rows(
        &mut self,
        parameter: usize,
        vocabulary: usize,
        tokens: &[TokenId],
        by_row: &Tensor<2>,
    ) {
        let hidden = by_row.dims()[1];
        let zeros = || Tensor::zeros([vocabulary, hidden], &by_row.device());
        let sum = self.sums[parameter].take().unwrap_or_else(zeros);
        let lookup = Lookup::of(tokens);
        self.sums[parameter] = Some(if is_here(&sum) {
            change(sum, |sum| read(by_row, |by_row| lookup.add_back(sum, by_row, hidden)))
        } else {
            gpu::add_rows(sum, by_row, &lookup)
        });
    }

    /// The L2 norm over all of them.
    pub(crate) fn norm(&self) -> f64 {
        norm(&self.sums)
    }

    /// The sums, which are then zero again.
    pub(crate) fn take(&mut self) -> Vec<Option<Tensor<2>>> {
        self.sums.iter_mut().map(Option::take).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.sums.fill(None);
    }
}
