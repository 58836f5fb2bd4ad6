//! The head composed of Burn's operations, for devices whose numbers do not stand in this program's memory.

use burn::tensor::{Int, Tensor};
use lancer_backend::TokenId;

use super::{Head, HeadGradients, Scored};
use crate::{
    fused::Lookup,
    gpu,
    numbers::{indices, matrix, to_vec},
    product::product,
    settings::Products,
};

/// Rows of logits so far, `[rows, 1]` each.
struct Rows {
    max: Tensor<2>,
    best: Tensor<2, Int>,
    /// `Σ exp(logit − max)`.
    sum: Tensor<2>,
    /// The targets' logits, 0 for those that have not come.
    chosen: Tensor<2>,
}

/// What a part of the vocabulary does to a sum over it.
struct Step {
    /// `exp(logit − max)`, `[rows, tokens]`.
    exponentials: Tensor<2>,
    /// By what sums so far are scaled to the largest logit, `[rows, 1]`.
    scale: Tensor<2>,
}

impl Head<'_> {
    /// As [`score`](Self::score).
    pub(super) fn composed_score(&self, states: &Tensor<2>, targets: &[TokenId]) -> Vec<Scored> {
        let mut rows = None;
        for (first, weight) in self.parts() {
            Rows::add(&mut rows, first, product(states.clone(), weight, Products::F32), targets);
        }
        Rows::scored(rows, targets)
    }

    /// As [`score_with_derivative`](Self::score_with_derivative).
    pub(super) fn composed_score_with_derivative(
        &self,
        states: &Tensor<2>,
        targets: &[TokenId],
        products: Products,
    ) -> (Vec<Scored>, Tensor<2>) {
        let (mut rows, mut sum) = (None, states.zeros_like());
        for (first, weight) in self.parts() {
            let logits = product(states.clone(), weight.clone(), Products::F32);
            let Step { exponentials, scale } = Rows::add(&mut rows, first, logits, targets);
            sum = sum * scale + product(exponentials, weight.transpose(), products);
        }
        let of_targets = self.weight.rows_of(targets);
        let derivative = match &rows {
            Some(rows) => of_targets - sum / rows.sum.clone(),
            None => of_targets,
        };
        (Rows::scored(rows, targets), derivative)
    }

    /// As [`backward`](Self::backward).
    pub(super) fn composed_backward(
        &self,
        states: &Tensor<2>,
        targets: &[TokenId],
        normalisers: &[f32],
        weights: &[f32],
        products: Products,
    ) -> HeadGradients {
        let (device, rows) = (states.device(), targets.len());
        let normalisers = matrix(normalisers.to_vec(), [rows, 1], &device);
        let weights = matrix(weights.to_vec(), [rows, 1], &device);
        // What the targets' own logits give, `w W_t`, and what all logits give, `− w Σ p W`.
        let mut by_states = self.weight.rows_of(targets) * weights.clone();
        let mut by_weight = Vec::new();
        for (_, weight) in self.parts() {
            let logits = product(states.clone(), weight.clone(), Products::F32);
            let by_logits = (logits - normalisers.clone()).exp() * weights.clone().neg();
            by_weight.push(product(by_logits.clone().transpose(), states.clone(), products));
            by_states = by_states + product(by_logits, weight.transpose(), products);
        }
        let by_targets = states.clone() * weights;
        let by_weight = gpu::add_rows(Tensor::cat(by_weight, 0), &by_targets, &Lookup::of(targets));
        HeadGradients { states: by_states, weight: by_weight }
    }
}

impl Rows {
    /// Adds the logits of the tokens from `first` on.
    fn add(rows: &mut Option<Self>, first: usize, logits: Tensor<2>, targets: &[TokenId]) -> Step {
        let [count, tokens] = logits.dims();
        let places = targets
            .iter()
            .map(|target| (target.0 as usize).checked_sub(first).filter(|&place| place < tokens));
        let is_here = places.clone().map(|place| if place.is_some() { 1.0 } else { 0.0 }).collect();
        let is_here = matrix(is_here, [count, 1], &logits.device());
        let places = indices(places.map(|place| place.unwrap_or(0)), &logits.device()).reshape([count, 1]);
        let chosen = logits.clone().gather(1, places) * is_here;
        let (max, best) = logits.clone().max_dim_with_indices(1);
        let best = best + first as i64;
        let (before, max, best) = match rows.take() {
            None => (None, max, best),
            Some(before) => {
                let is_larger = max.clone().greater(before.max.clone());
                let best = before.best.clone().mask_where(is_larger, best);
                let max = max.max_pair(before.max.clone());
                (Some(before), max, best)
            }
        };
        let exponentials = (logits - max.clone()).exp();
        let sum = exponentials.clone().sum_dim(1);
        let (scale, sum, chosen) = match before {
            None => (max.zeros_like(), sum, chosen),
            Some(before) => {
                let scale = (before.max - max.clone()).exp();
                (scale.clone(), before.sum * scale + sum, before.chosen + chosen)
            }
        };
        *rows = Some(Self { max, best, sum, chosen });
        Step { exponentials, scale }
    }

    fn scored(rows: Option<Self>, targets: &[TokenId]) -> Vec<Scored> {
        // A vocabulary has at least one part.
        let Some(Self { max, best, sum, chosen }) = rows else { return Vec::new() };
        let best = best.into_data().iter::<i64>().collect::<Vec<_>>();
        let normaliser = max + sum.log();
        let numbers = to_vec(&Tensor::cat(vec![normaliser, chosen], 1));
        let rows = numbers.as_chunks::<2>().0.iter().zip(best).zip(targets);
        rows.map(|((&[normaliser, chosen], best), target)| {
            Scored::new(chosen, normaliser, best == i64::from(target.0))
        })
        .collect()
    }
}
