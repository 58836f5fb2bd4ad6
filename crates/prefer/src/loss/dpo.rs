//! Direct preference optimisation with the sigmoid loss.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss,
    stable::{log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`dpo`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dpo {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
    /// Probability that a pair's sides are swapped; at least 0, below 0.5.
    pub label_smoothing: f64,
    /// Weight of the mean negative log-likelihood of the batch's chosen tokens, which is added to the loss
    /// (arXiv 2404.19733, RPO); at least 0, at most 100.
    pub nll_weight: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 0.0, nll_weight: 0.0 }
    }
}

impl Dpo {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")?;
        require(
            (0.0..0.5).contains(&self.label_smoothing),
            "label_smoothing",
            self.label_smoothing,
            "at least 0 and below 0.5",
        )?;
        require(
            (0.0..=100.0).contains(&self.nll_weight),
            "nll_weight",
            self.nll_weight,
            "at least 0 and at most 100",
        )
    }
}

/// The loss of one pair (Rafailov et al. 2023, arXiv 2305.18290, equation 7; with label smoothing, conservative DPO,
/// Mitchell 2023):
///
/// `h = β · [(log π(y_c) - log π_ref(y_c)) - (log π(y_r) - log π_ref(y_r))]`
///
/// `L = -(1 - ε) · log σ(h) - ε · log σ(-h)`
///
/// with the sums over tokens as log-probabilities. The term with [`Dpo::nll_weight`] is not in it, since its mean is
/// over the tokens of a batch; [`PreferenceLoss::pair`](super::PreferenceLoss::pair) adds it.
pub fn dpo(settings: &Dpo, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    let Dpo { beta, label_smoothing, .. } = *settings;
    let h =
        beta * ((policy.chosen.sum - reference.chosen.sum) - (policy.rejected.sum - reference.rejected.sum));
    let value = -(1.0 - label_smoothing) * log_sigmoid(h) - label_smoothing * log_sigmoid(-h);
    let by_h = -(1.0 - label_smoothing) * sigmoid(-h) + label_smoothing * sigmoid(h);
    PairLoss { value, chosen: beta * by_h, rejected: -beta * by_h }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, Dpo, dpo};

    proptest! {
        #[test]
        fn derivatives_are_differences(
            (policy, reference) in finite_differences::pair_and_reference(),
            beta in 0.01..2.0_f64, label_smoothing in 0.0..0.49_f64,
        ) {
            let settings = Dpo { beta, label_smoothing, nll_weight: 0.0 };
            finite_differences::check(|policy| dpo(&settings, policy, reference), policy);
        }

        #[test]
        fn at_the_reference_the_loss_is_log_2(policy in finite_differences::pair(), beta in 0.01..2.0_f64) {
            let loss = dpo(&Dpo { beta, ..Dpo::default() }, policy, policy);
            prop_assert!((loss.value - std::f64::consts::LN_2).abs() < 1e-12);
            prop_assert!(loss.chosen < 0.0 && loss.rejected > 0.0);
        }
    }
}
