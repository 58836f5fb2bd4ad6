//! Self-play preference optimisation, where the preference of a pair is certain.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{PairLogProb, PairLoss, log_ratios};
use crate::error::{SettingError, require};

/// Settings of [`sppo_hard`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SppoHard {
    /// 1 / η in the paper: the log-ratios aimed at are 1 / (2 · beta) and its negative; above 0, at most 100.
    pub beta: f64,
}

impl Default for SppoHard {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl SppoHard {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// The loss of one pair (SPPO, Wu et al. 2024, arXiv 2405.00675, equation 4.7 with the probabilities 1 and 0; TRL's
/// `sppo_hard`), with `r = log π(y) - log π_ref(y)`:
///
/// `L = (r_c - 1 / 2β)² + (r_r + 1 / 2β)²`
pub fn sppo_hard(settings: &SppoHard, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let aim = 0.5 / settings.beta;
    let (chosen, rejected) = log_ratios(policy, reference);
    let (chosen, rejected) = (chosen - aim, rejected + aim);
    PairLoss { value: chosen * chosen + rejected * rejected, chosen: 2.0 * chosen, rejected: 2.0 * rejected }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, SppoHard, sppo_hard};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(), beta in 0.01..2.0_f64,
        ) {
            let settings = SppoHard { beta };
            finite_differences::check(|policy| sppo_hard(&settings, policy, reference), policy);
        }
    }
}
