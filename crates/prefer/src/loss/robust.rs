//! DPO where some pairs have their sides swapped.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss, log_ratios,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`robust`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Robust {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
    /// Probability that a pair's sides are swapped; at least 0, below 0.5.
    pub label_smoothing: f64,
}

impl Default for Robust {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 0.1 }
    }
}

impl Robust {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")?;
        require(
            (0.0..0.5).contains(&self.label_smoothing),
            "label_smoothing",
            self.label_smoothing,
            "at least 0 and below 0.5",
        )
    }
}

/// The loss of one pair (robust DPO, Chowdhury et al. 2024, arXiv 2403.00409, equation 12; TRL's `robust`), with `h` as in
/// [`dpo`](super::dpo()):
///
/// `L = [-(1 - ε) · log σ(h) + ε · log σ(-h)] / (1 - 2ε)`
pub fn robust(settings: &Robust, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let Robust { beta, label_smoothing } = *settings;
    let (chosen, rejected) = log_ratios(policy, reference);
    let h = beta * (chosen - rejected);
    let scale = 1.0 - 2.0 * label_smoothing;
    let value = (-(1.0 - label_smoothing) * log_sigmoid(h) + label_smoothing * log_sigmoid(-h)) / scale;
    let by_h = (-(1.0 - label_smoothing) * sigmoid(-h) - label_smoothing * sigmoid(h)) / scale;
    PairLoss { value, chosen: beta * by_h, rejected: -beta * by_h }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, Robust, robust};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64, label_smoothing in 0.0..0.45_f64,
        ) {
            let settings = Robust { beta, label_smoothing };
            finite_differences::check(|policy| robust(&settings, policy, reference), policy);
        }
    }
}
