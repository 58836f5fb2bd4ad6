//! Efficient exact optimisation: the reverse divergence from the preferences of a pair.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss, log_ratios,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`exo_pair`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExoPair {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
    /// Probability of the worse side, which is 0 in the data and may not be 0 here; above 0, below 0.5.
    pub label_smoothing: f64,
}

impl Default for ExoPair {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 1e-3 }
    }
}

impl ExoPair {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")?;
        require(
            self.label_smoothing > 0.0 && self.label_smoothing < 0.5,
            "label_smoothing",
            self.label_smoothing,
            "above 0 and below 0.5",
        )
    }
}

/// The loss of one pair (EXO, Ji et al. 2024, arXiv 2402.00856, equation 16; TRL's `exo_pair`), with `h` as in
/// [`dpo`](super::dpo()) and `q = σ(h)`:
///
/// `L = q · [log q - log(1 - ε)] + (1 - q) · [log(1 - q) - log ε]`
pub fn exo_pair(settings: &ExoPair, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let ExoPair { beta, label_smoothing } = *settings;
    let (chosen, rejected) = log_ratios(policy, reference);
    let h = beta * (chosen - rejected);
    let (log_right, log_wrong) = ((-label_smoothing).ln_1p(), label_smoothing.ln());
    let (q, rest) = (sigmoid(h), sigmoid(-h));
    let value = q * (log_sigmoid(h) - log_right) + rest * (log_sigmoid(-h) - log_wrong);
    let by_h = q * rest * (h - log_right + log_wrong);
    PairLoss { value, chosen: beta * by_h, rejected: -beta * by_h }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, ExoPair, exo_pair};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64, label_smoothing in 1e-4..0.45_f64,
        ) {
            let settings = ExoPair { beta, label_smoothing };
            finite_differences::check(|policy| exo_pair(&settings, policy, reference), policy);
        }
    }
}
