//! DPO over means of tokens, so that a longer response has no larger reward.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss, log_ratios,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`sigmoid_norm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SigmoidNorm {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
}

impl Default for SigmoidNorm {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl SigmoidNorm {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// The loss of one pair, TRL's `sigmoid_norm` (length-normalised DPO, as in Tulu 3, Lambert et al. 2024, arXiv 2411.15124):
///
/// `h = β · [(log π(y_c) - log π_ref(y_c)) / |y_c| - (log π(y_r) - log π_ref(y_r)) / |y_r|]`
///
/// `L = -log σ(h)`
pub fn sigmoid_norm(settings: &SigmoidNorm, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let beta = settings.beta;
    let (chosen, rejected) = log_ratios(policy, reference);
    let lengths = (policy.chosen.tokens as f64, policy.rejected.tokens as f64);
    let h = beta * (chosen / lengths.0 - rejected / lengths.1);
    let by_h = -sigmoid(-h);
    PairLoss { value: -log_sigmoid(h), chosen: beta * by_h / lengths.0, rejected: -beta * by_h / lengths.1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, SigmoidNorm, sigmoid_norm};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64,
        ) {
            let settings = SigmoidNorm { beta };
            finite_differences::check(|policy| sigmoid_norm(&settings, policy, reference), policy);
        }
    }
}
