//! Anchored preference optimisation: each side moves against the reference, not the other side alone.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{PairLogProb, PairLoss, log_ratios, stable::sigmoid};
use crate::error::{SettingError, require};

/// Settings of [`apo_zero`] and [`apo_down`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Apo {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
}

impl Default for Apo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Apo {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// The loss of one pair whose chosen response is better than the model's own (APO-zero, D'Oosterlinck et al. 2024, arXiv
/// 2408.06266, equation 7; TRL's `apo_zero`), with `r = β · [log π(y) - log π_ref(y)]`:
///
/// `L = 1 - σ(r_c) + σ(r_r)`
pub fn apo_zero(settings: &Apo, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let beta = settings.beta;
    let (chosen, rejected) = log_ratios(policy, reference);
    let (chosen, rejected) = (beta * chosen, beta * rejected);
    PairLoss {
        value: sigmoid(-chosen) + sigmoid(rejected),
        chosen: -beta * slope(chosen),
        rejected: beta * slope(rejected),
    }
}

/// The loss of one pair whose chosen response is worse than the model's own (APO-down, equation 8; TRL's `apo_down`):
///
/// `L = σ(r_c) + 1 - σ(r_c - r_r)`
pub fn apo_down(settings: &Apo, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let beta = settings.beta;
    let (chosen, rejected) = log_ratios(policy, reference);
    let (chosen, margin) = (beta * chosen, beta * (chosen - rejected));
    PairLoss {
        value: sigmoid(chosen) + sigmoid(-margin),
        chosen: beta * (slope(chosen) - slope(margin)),
        rejected: beta * slope(margin),
    }
}

/// The derivative of the sigmoid.
fn slope(x: f64) -> f64 {
    sigmoid(x) * sigmoid(-x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, Apo, apo_down, apo_zero};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64,
        ) {
            let settings = Apo { beta };
            finite_differences::check(|policy| apo_zero(&settings, policy, reference), policy);
            finite_differences::check(|policy| apo_down(&settings, policy, reference), policy);
        }
    }
}
