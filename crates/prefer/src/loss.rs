//! Losses: pure functions from log-probabilities to a value and its derivatives.
//!
//! Every loss here sees the tokens of a response only through the sum of their log-probabilities and their number. Its
//! derivative by each token's log-probability is therefore the same for all tokens of the response, and equal to the
//! derivative by the sum; that one number is what the functions return.

mod apo;
mod bco_pair;
mod dpo;
mod exo_pair;
mod ipo;
mod kto;
mod nll;
mod orpo;
mod robust;
mod selection;
mod sigmoid_norm;
mod simpo;
mod sppo_hard;
mod stable;

pub use apo::{Apo, apo_down, apo_zero};
pub use bco_pair::{BcoPair, bco_pair};
pub use dpo::{Dpo, dpo};
pub use exo_pair::{ExoPair, exo_pair};
pub use ipo::{Ipo, ipo};
pub use kto::{Desirability, Kto, kto};
pub use nll::nll;
pub use orpo::{Orpo, orpo};
pub use robust::{Robust, robust};
pub use selection::{BatchTotals, PreferenceLoss, UnknownLoss};
pub use sigmoid_norm::{SigmoidNorm, sigmoid_norm};
pub use simpo::{SimPo, simpo};
pub use sppo_hard::{SppoHard, sppo_hard};

use serde::{Deserialize, Serialize};

/// The log-probability of a response: the sum over its tokens, in natural logarithm, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseLogProb {
    /// Sum of the tokens' log-probabilities, at most 0.
    pub sum: f64,
    /// Number of tokens, at least 1.
    pub tokens: usize,
}

impl ResponseLogProb {
    /// Sums the log-probabilities of a response's tokens.
    pub fn from_tokens(log_probs: &[f32]) -> Self {
        let sum = log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum();
        Self { sum, tokens: log_probs.len() }
    }

    /// The mean log-probability of a token.
    pub fn mean(self) -> f64 {
        self.sum / self.tokens as f64
    }
}

/// The log-probabilities of both sides of a preference pair under one model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairLogProb {
    /// Of the response that is preferred.
    pub chosen: ResponseLogProb,
    /// Of the other.
    pub rejected: ResponseLogProb,
}

/// The loss of one response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponseLoss {
    /// The loss.
    pub value: f64,
    /// Its derivative by the log-probability of each of the response's tokens.
    pub derivative: f64,
}

/// The loss of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLoss {
    /// The loss.
    pub value: f64,
    /// Its derivative by the log-probability of each token of the chosen response.
    pub chosen: f64,
    /// Its derivative by the log-probability of each token of the rejected response.
    pub rejected: f64,
}

/// How much more probable the policy has made each side than the reference, as logarithms of ratios: of the chosen and of the
/// rejected response.
fn log_ratios(policy: PairLogProb, reference: PairLogProb) -> (f64, f64) {
    (policy.chosen.sum - reference.chosen.sum, policy.rejected.sum - reference.rejected.sum)
}

#[cfg(test)]
mod finite_differences {
    //! What the property tests of all pair losses share.

    use proptest::prelude::*;

    use super::{PairLogProb, PairLoss, ResponseLogProb};

    prop_compose! {
        fn response()(mean in -6.0..-0.02_f64, tokens in 1_usize..60) -> ResponseLogProb {
            ResponseLogProb { sum: mean * tokens as f64, tokens }
        }
    }

    prop_compose! {
        /// A pair as a language model gives it.
        pub(super) fn pair()(chosen in response(), rejected in response()) -> PairLogProb {
            PairLogProb { chosen, rejected }
        }
    }

    prop_compose! {
        /// A pair under the policy and under a reference that is not far from it.
        pub(super) fn pair_and_reference()(
            policy in pair(), chosen in -20.0..20.0_f64, rejected in -20.0..20.0_f64,
        ) -> (PairLogProb, PairLogProb) {
            let mut reference = policy;
            reference.chosen.sum = (policy.chosen.sum + chosen).min(-1e-3);
            reference.rejected.sum = (policy.rejected.sum + rejected).min(-1e-3);
            (policy, reference)
        }
    }

    /// Panics unless the derivatives are the central differences of the value.
    pub(super) fn check(loss: impl Fn(PairLogProb) -> PairLoss, at: PairLogProb) {
        let step = 1e-5;
        let found = loss(at);
        let difference = |move_by: &dyn Fn(&mut PairLogProb, f64)| {
            let (mut up, mut down) = (at, at);
            move_by(&mut up, step);
            move_by(&mut down, -step);
            (loss(up).value - loss(down).value) / (2.0 * step)
        };
        let chosen = difference(&|pair, by| pair.chosen.sum += by);
        let rejected = difference(&|pair, by| pair.rejected.sum += by);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 + 1e-5 * b.abs();
        assert!(close(found.chosen, chosen), "chosen {} but differences give {chosen}", found.chosen);
        assert!(
            close(found.rejected, rejected),
            "rejected {} but differences give {rejected}",
            found.rejected
        );
    }
}
