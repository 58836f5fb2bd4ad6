//! Identity preference optimisation.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{PairLogProb, PairLoss};
use crate::error::{SettingError, require};

/// Settings of [`ipo`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ipo {
    /// Regularisation, τ in the paper; above 0, at most 100. The margin aimed at is 1 / (2 · beta).
    pub beta: f64,
}

impl Default for Ipo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Ipo {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// The loss of one pair (Azar et al. 2023, arXiv 2310.12036, equation 17):
///
/// `L = [(log π(y_c) - log π_ref(y_c)) / |y_c| - (log π(y_r) - log π_ref(y_r)) / |y_r| - 1 / (2 β)]²`
///
/// The division by the number of tokens is not in the paper's text; it is what its authors used, according to TRL,
/// and keeps long responses from outweighing short ones.
pub fn ipo(settings: &Ipo, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let (chosen_tokens, rejected_tokens) = (policy.chosen.tokens as f64, policy.rejected.tokens as f64);
    let margin = (policy.chosen.sum - reference.chosen.sum) / chosen_tokens
        - (policy.rejected.sum - reference.rejected.sum) / rejected_tokens;
    let error = margin - 1.0 / (2.0 * settings.beta);
    PairLoss {
        value: error * error,
        chosen: 2.0 * error / chosen_tokens,
        rejected: -2.0 * error / rejected_tokens,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, Ipo, ipo};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.05..2.0_f64,
        ) {
            finite_differences::check(|policy| ipo(&Ipo { beta }, policy, reference), policy);
        }
    }
}
