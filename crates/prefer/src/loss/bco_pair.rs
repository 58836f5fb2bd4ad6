//! Binary classifier optimisation over pairs: each side is told good from bad by itself.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss, log_ratios,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`bco_pair`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BcoPair {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
}

impl Default for BcoPair {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl BcoPair {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// The loss of one pair (BCO, Jung et al. 2024, arXiv 2404.04656, without the shift of the rewards; TRL's `bco_pair`), with
/// `r = β · [log π(y) - log π_ref(y)]`:
///
/// `L = -log σ(r_c) - log σ(-r_r)`
pub fn bco_pair(settings: &BcoPair, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let beta = settings.beta;
    let (chosen, rejected) = log_ratios(policy, reference);
    let (chosen, rejected) = (beta * chosen, beta * rejected);
    PairLoss {
        value: -log_sigmoid(chosen) - log_sigmoid(-rejected),
        chosen: -beta * sigmoid(-chosen),
        rejected: beta * sigmoid(rejected),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, BcoPair, bco_pair};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64,
        ) {
            let settings = BcoPair { beta };
            finite_differences::check(|policy| bco_pair(&settings, policy, reference), policy);
        }
    }
}
