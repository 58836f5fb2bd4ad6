//! The vocabulary head and its log-softmax, forward and backward, some thousand tokens of the vocabulary at a time.
//!
//! With logits `z = h Wᵀ` and `p = softmax(z)`, the log-probability of a target `t` is `z_t − ln Σ exp(z)`, and the
//! derivative of `Σ w · log-probability` by the logits is `w · (onehot(t) − p)`. The sum is taken over parts of the
//! vocabulary one after another (Milakov & Gimelshein 2018, arXiv 1805.02867), so no more than `rows × TOKENS` logits are
//! ever in memory, and each part of the weights' gradient is written once.

mod composed;
mod frozen;

use std::ops::Range;

use burn::tensor::Tensor;
use lancer_backend::TokenId;
use lancer_kernels::{exp::exp, vector::max_of};
use rayon::prelude::*;

use super::Matrix;
use crate::{
    numbers::{change, into_vec, is_here, read},
    product::product,
    settings::Products,
};

/// Tokens of the vocabulary whose logits are in memory at once: of 1,000 rows they are 16 MB.
const TOKENS: usize = 4096;

/// The head's weights.
pub(crate) struct Head<'a> {
    weight: &'a Matrix,
    /// Size of a part.
    tokens: usize,
}

/// What the head says of one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scored {
    pub(crate) log_prob: f32,
    /// `ln Σ exp(logit)` of its row.
    pub(crate) normaliser: f32,
    /// Whether no logit is larger than the target's, and none before it as large.
    pub(crate) is_best: bool,
}

/// The gradients of one backward pass through a trained head.
pub(crate) struct HeadGradients {
    /// By the states, `[rows, hidden]`.
    pub(crate) states: Tensor<2>,
    /// By the weights, `[vocabulary, hidden]`.
    pub(crate) weight: Tensor<2>,
}

/// A row of logits so far.
#[derive(Clone, Copy)]
struct Row {
    max: f32,
    best: usize,
    /// `Σ exp(logit − max)`.
    sum: f64,
    /// The target's logit, once it has come.
    chosen: f32,
}

impl<'a> Head<'a> {
    pub(crate) fn new(weight: &'a Matrix) -> Self {
        Self { weight, tokens: TOKENS }
    }

    /// The logits `[rows, vocabulary]` of few rows.
    pub(crate) fn logits(&self, states: &Tensor<2>) -> Vec<f32> {
        into_vec(self.weight.product_of(states, 0..self.weight.outputs()))
    }

    /// The log-probability of a target for each row of `states: [rows, hidden]`.
    pub(crate) fn score(&self, states: &Tensor<2>, targets: &[TokenId]) -> Vec<Scored> {
        if !is_here(states) {
            return self.composed_score(states, targets);
        }
        let mut rows = vec![Row::START; targets.len()];
        for tokens in self.tokens() {
            read(&self.weight.product_of(states, tokens.clone()), |logits| {
                rows.par_iter_mut()
                    .zip(logits.par_chunks(tokens.len()))
                    .zip(targets)
                    .for_each(|((row, logits), target)| row.add(tokens.start, logits, target.0 as usize));
            });
        }
        rows.iter().zip(targets).map(|(row, target)| row.scored(target.0 as usize)).collect()
    }

    /// The gradient of `Σ weight · log-probability` over the rows. `normalisers` are those of
    /// [`score`](Self::score). Logits are 32-bit floats, whatever `products` says of what is made of them.
    pub(crate) fn backward(
        &self,
        states: &Tensor<2>,
        targets: &[TokenId],
        normalisers: &[f32],
        weights: &[f32],
        products: Products,
    ) -> HeadGradients {
        if !is_here(states) {
            return self.composed_backward(states, targets, normalisers, weights, products);
        }
        let mut by_states: Option<Tensor<2>> = None;
        let mut by_weight = Vec::new();
        for (first, weight) in self.parts() {
            let count = weight.dims()[1];
            let logits = states.clone().matmul(weight.clone());
            let by_logits = change(logits, |logits| {
                logits.par_chunks_mut(count).zip(targets).zip(normalisers).zip(weights).for_each(
                    |(((row, target), &normaliser), &weight)| {
                        differentiate(row, (target.0 as usize).checked_sub(first), normaliser, weight);
                    },
                );
            });
            by_weight.push(product(by_logits.clone().transpose(), states.clone(), products));
            let more = product(by_logits, weight.transpose(), products);
            by_states = Some(match by_states {
                Some(known) => known + more,
                None => more,
            });
        }
        HeadGradients {
            // A vocabulary has at least one part.
            states: by_states.unwrap_or_else(|| states.zeros_like()),
            weight: Tensor::cat(by_weight, 0),
        }
    }

    /// The weights in parts `[hidden, tokens]`, each with its first token.
    fn parts(&self) -> impl Iterator<Item = (usize, Tensor<2>)> {
        self.tokens().map(|tokens| (tokens.start, self.weight.part(tokens)))
    }

    /// The tokens of each part.
    fn tokens(&self) -> impl Iterator<Item = Range<usize>> {
        let (vocabulary, of_part) = (self.weight.outputs(), self.tokens);
        (0..vocabulary).step_by(of_part).map(move |first| first..vocabulary.min(first + of_part))
    }
}

impl Row {
    /// A row of which nothing is known.
    const START: Self = Self { max: f32::NEG_INFINITY, best: 0, sum: 0.0, chosen: 0.0 };

    /// Adds the logits of the tokens from `first` on.
    fn add(&mut self, first: usize, logits: &[f32], target: usize) {
        let max = max_of(logits);
        if max > self.max {
            self.best = first + logits.iter().position(|&logit| logit >= max).unwrap_or(0);
            self.sum *= f64::from((self.max - max).exp());
            self.max = max;
        }
        self.sum += sum_of_exp(logits, self.max);
        if let Some(&chosen) = target.checked_sub(first).and_then(|place| logits.get(place)) {
            self.chosen = chosen;
        }
    }

    fn scored(&self, target: usize) -> Scored {
        Scored::new(self.chosen, self.max + self.sum.ln() as f32, self.best == target)
    }
}

impl Scored {
    /// Of a target's logit and `ln Σ exp(logit)`.
    fn new(chosen: f32, normaliser: f32, is_best: bool) -> Self {
        let log_prob = chosen - normaliser;
        // The rounding of a sum may take it above 0; `min` would hide what is not a number.
        let log_prob = if log_prob > 0.0 { 0.0 } else { log_prob };
        Self { log_prob, normaliser, is_best }
    }
}

/// `Σ exp(logit − max)`.
fn sum_of_exp(logits: &[f32], max: f32) -> f64 {
    // Sums side by side keep the digits of a long sum, and the loop free of a chain of additions.
    let mut sums = [0.0_f32; 64];
    let (whole, rest) = logits.as_chunks::<64>();
    for chunk in whole {
        for (sum, logit) in sums.iter_mut().zip(chunk) {
            *sum += exp(logit - max);
        }
    }
    let rest: f64 = rest.iter().map(|logit| f64::from(exp(logit - max))).sum();
    sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + rest
}

/// Makes the derivatives by some logits of a row out of them; `target` is the target's place, if it is among them.
fn differentiate(row: &mut [f32], target: Option<usize>, normaliser: f32, weight: f32) {
    if weight == 0.0 {
        row.fill(0.0);
        return;
    }
    for logit in row.iter_mut() {
        *logit = -weight * exp(*logit - normaliser);
    }
    if let Some(logit) = target.and_then(|target| row.get_mut(target)) {
        *logit += weight;
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        device,
        numbers::{matrix, to_vec},
        transformer::{Order, Parameter, Training},
    };

    fn head_weight(numbers: Vec<f32>, shape: [usize; 2], order: Order, device: &Device) -> Matrix {
        let (name, trained) = ("head".to_owned(), Training::Trained);
        Matrix::F32(Box::new(Parameter::new(name, shape.to_vec(), numbers, order, trained, device)))
    }

    /// Some numbers between -1 and 1.
    fn numbers(count: usize, phase: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 1.7 + phase).sin()).collect()
    }

    fn weighted_sum(head: &Head<'_>, states: &Tensor<2>, targets: &[TokenId], weights: &[f32]) -> f64 {
        let scored = head.score(states, targets);
        scored
            .iter()
            .zip(weights)
            .map(|(scored, &weight)| f64::from(scored.log_prob) * f64::from(weight))
            .sum()
    }

    #[test]
    fn parts_of_the_vocabulary_make_up_the_whole() {
        device::all().for_each(|device| parts_make_up_the_whole(&device));
    }

    fn parts_make_up_the_whole(device: &Device) {
        let (rows, hidden, vocabulary) = (6, 4, 23);
        let states = matrix(numbers(rows * hidden, 0.1), [rows, hidden], device);
        let [weight, transposed] = [Order::AsInFiles, Order::Transposed]
            .map(|order| head_weight(numbers(vocabulary * hidden, 0.2), [vocabulary, hidden], order, device));
        let targets: Vec<TokenId> = [0, 22, 5, 6, 7, 11].map(TokenId).to_vec();
        let (parts, whole) = (Head { weight: &transposed, tokens: 5 }, Head::new(&weight));
        let logits = whole.logits(&states);
        for (row, (one, two)) in
            parts.score(&states, &targets).iter().zip(whole.score(&states, &targets)).enumerate()
        {
            let logits = &logits[row * vocabulary..][..vocabulary];
            let expected = lancer_backend::score_token(logits, targets[row]);
            for found in [*one, two] {
                assert!((found.log_prob - expected.log_prob).abs() < 1e-5);
                assert_eq!(found.is_best, expected.is_greedy);
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        device::all().for_each(|device| gradient_is_that_of_finite_differences(&device));
    }

    fn gradient_is_that_of_finite_differences(device: &Device) {
        let (rows, hidden, vocabulary) = (3, 4, 11);
        let (states, weight) = (numbers(rows * hidden, 0.3), numbers(vocabulary * hidden, 0.4));
        let targets: Vec<TokenId> = [10, 0, 4].map(TokenId).to_vec();
        let weights = [0.5, -2.0, 1.5];
        let value = |states: &[f32], weight: &[f32]| {
            let weight = head_weight(weight.to_vec(), [vocabulary, hidden], Order::AsInFiles, device);
            let states = matrix(states.to_vec(), [rows, hidden], device);
            weighted_sum(&Head { weight: &weight, tokens: 4 }, &states, &targets, &weights)
        };
        let tensors = (
            matrix(states.clone(), [rows, hidden], device),
            head_weight(weight.clone(), [vocabulary, hidden], Order::AsInFiles, device),
        );
        let head = Head { weight: &tensors.1, tokens: 4 };
        let normalisers: Vec<f32> =
            head.score(&tensors.0, &targets).iter().map(|scored| scored.normaliser).collect();
        let found = head.backward(&tensors.0, &targets, &normalisers, &weights, Products::F32);
        let (by_states, by_weight) = (to_vec(&found.states), to_vec(&found.weight));
        let step = 1e-2;
        let tolerance = 1e-3;
        let moved = |numbers: &[f32], place: usize, by: f32| {
            let mut numbers = numbers.to_vec();
            numbers[place] += by;
            numbers
        };
        for (place, &found) in by_states.iter().enumerate() {
            let difference =
                value(&moved(&states, place, step), &weight) - value(&moved(&states, place, -step), &weight);
            let expected = difference / f64::from(2.0 * step);
            assert!((f64::from(found) - expected).abs() < tolerance, "{found}, expected {expected}");
        }
        for (place, &found) in by_weight.iter().enumerate() {
            let difference =
                value(&states, &moved(&weight, place, step)) - value(&states, &moved(&weight, place, -step));
            let expected = difference / f64::from(2.0 * step);
            assert!((f64::from(found) - expected).abs() < tolerance, "{found}, expected {expected}");
        }
        let (scored, derivative) = head.score_with_derivative(&tensors.0, &targets, Products::F32);
        assert_eq!(scored, head.score(&tensors.0, &targets), "{device:?}");
        for (place, derivative) in to_vec(&derivative).iter().enumerate() {
            let (found, expected) = (derivative * weights[place / hidden], by_states[place]);
            assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
        }
    }
}
