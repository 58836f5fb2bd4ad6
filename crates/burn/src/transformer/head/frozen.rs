//! The forward pass through a head that is not trained, with its derivative.
//!
//! The derivative of a log-probability by the state is `W_t − Σ p W`, a row as wide as the state. Nothing of it depends on
//! what the loss makes of the log-probability, so it is taken along while the logits are there, and the backward pass does
//! not compute them again. As the parts of the vocabulary come, what was summed is scaled to the largest logit so far.

use burn::tensor::Tensor;
use lancer_backend::TokenId;
use lancer_kernels::exp::exp;
use rayon::prelude::*;

use super::{Head, Row, Scored};
use crate::{
    numbers::{change, is_here, read},
    product::product,
    settings::Products,
};

impl Head<'_> {
    /// The log-probability of a target for each row of `states: [rows, hidden]`, and its derivative by that row, `[rows,
    /// hidden]`. Logits are 32-bit floats, whatever `products` says of what is made of them.
    pub(crate) fn score_with_derivative(
        &self,
        states: &Tensor<2>,
        targets: &[TokenId],
        products: Products,
    ) -> (Vec<Scored>, Tensor<2>) {
        if !is_here(states) {
            return self.composed_score_with_derivative(states, targets, products);
        }
        let hidden = states.dims()[1];
        let mut rows = vec![Row::START; targets.len()];
        let mut sum = states.zeros_like();
        for (first, weight) in self.parts() {
            let count = weight.dims()[1];
            let logits = states.clone().matmul(weight.clone());
            let mut scales = vec![1.0; rows.len()];
            let exponentials = change(logits, |logits| {
                let rows = rows.par_iter_mut().zip(logits.par_chunks_mut(count)).zip(targets);
                rows.zip(&mut scales).for_each(|(((row, logits), target), scale)| {
                    let before = row.max;
                    row.add(first, logits, target.0 as usize);
                    *scale = exp(before - row.max);
                    for logit in logits {
                        *logit = exp(*logit - row.max);
                    }
                });
            });
            let more = product(exponentials, weight.transpose(), products);
            sum = change(sum, |sum| {
                read(&more, |more| {
                    for ((sum, more), scale) in
                        sum.chunks_exact_mut(hidden).zip(more.chunks_exact(hidden)).zip(&scales)
                    {
                        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = *sum * scale + more);
                    }
                });
            });
        }
        let of_targets = self.weight.rows_of(targets);
        let derivative = change(sum, |sum| {
            read(&of_targets, |of_targets| {
                let all = sum.chunks_exact_mut(hidden).zip(of_targets.chunks_exact(hidden)).zip(&rows);
                for ((sum, of_target), row) in all {
                    let total = row.sum as f32;
                    sum.iter_mut().zip(of_target).for_each(|(sum, weight)| *sum = weight - *sum / total);
                }
            });
        });
        let scored = rows.iter().zip(targets).map(|(row, target)| row.scored(target.0 as usize)).collect();
        (scored, derivative)
    }
}
