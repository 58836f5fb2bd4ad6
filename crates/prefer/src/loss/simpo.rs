//! Simple preference optimisation: no reference, log-probabilities per token.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`simpo`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimPo {
    /// Scale of the rewards; above 0, at most 100. The paper uses 2.0 to 2.5.
    pub beta: f64,
    /// The margin by which the chosen reward should exceed the rejected one; at least 0, at most 100. The paper uses
    /// 0.3 to 1.6.
    pub gamma: f64,
    /// Weight of the mean negative log-likelihood of the batch's chosen tokens, which is added to the loss (CPO-SimPO);
    /// at least 0, at most 100.
    pub nll_weight: f64,
}

impl Default for SimPo {
    fn default() -> Self {
        Self { beta: 2.0, gamma: 0.5, nll_weight: 0.0 }
    }
}

impl SimPo {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let at_least_0 = "at least 0 and at most 100";
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")?;
        require((0.0..=100.0).contains(&self.gamma), "gamma", self.gamma, at_least_0)?;
        require((0.0..=100.0).contains(&self.nll_weight), "nll_weight", self.nll_weight, at_least_0)
    }
}

/// The loss of one pair (Meng et al. 2024, arXiv 2405.14734, equation 6):
///
/// `L = -log σ(β · log π(y_c) / |y_c| - β · log π(y_r) / |y_r| - γ)`
pub fn simpo(settings: &SimPo, policy: PairLogProb) -> PairLoss {
    let margin = settings.beta * (policy.chosen.mean() - policy.rejected.mean()) - settings.gamma;
    let by_mean = -sigmoid(-margin) * settings.beta;
    PairLoss {
        value: -log_sigmoid(margin),
        chosen: by_mean / policy.chosen.tokens as f64,
        rejected: -by_mean / policy.rejected.tokens as f64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, SimPo, simpo};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            policy in finite_differences::pair(), beta in 0.1..5.0_f64, gamma in 0.0..3.0_f64,
        ) {
            let settings = SimPo { beta, gamma, nll_weight: 0.0 };
            finite_differences::check(|policy| simpo(&settings, policy), policy);
        }
    }
}
