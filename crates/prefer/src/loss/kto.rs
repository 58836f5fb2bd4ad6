//! Kahneman-Tversky optimisation: each response is good or bad by itself, pairs are not needed.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{ResponseLogProb, ResponseLoss, stable::sigmoid};
use crate::error::{SettingError, require};

/// Settings of [`kto`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kto {
    /// Strength of the tie to the reference; above 0, at most 100.
    pub beta: f64,
    /// Weight of desirable responses, `λ_D` in the paper; at least 0, at most 100.
    pub desirable_weight: f64,
    /// Weight of undesirable responses, `λ_U` in the paper; at least 0, at most 100.
    pub undesirable_weight: f64,
}

impl Default for Kto {
    fn default() -> Self {
        Self { beta: 0.1, desirable_weight: 1.0, undesirable_weight: 1.0 }
    }
}

impl Kto {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let at_least_0 = "at least 0 and at most 100";
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")?;
        for (field, weight) in
            [("desirable_weight", self.desirable_weight), ("undesirable_weight", self.undesirable_weight)]
        {
            require((0.0..=100.0).contains(&weight), field, weight, at_least_0)?;
        }
        require(
            self.desirable_weight + self.undesirable_weight > 0.0,
            "desirable_weight",
            self.desirable_weight,
            "above 0 where undesirable_weight is 0, else nothing is trained",
        )
    }
}

/// Whether a response is an example to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desirability {
    /// The chosen side of a pair.
    Desirable,
    /// The rejected side of a pair.
    Undesirable,
}

/// The loss of one response (Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8):
///
/// `L = λ_D · (1 - σ(β · (r - z)))` if it is desirable, `L = λ_U · (1 - σ(β · (z - r)))` if not,
///
/// `r = log π(y) - log π_ref(y)`, and `z`, here `kl`, an estimate of the divergence of the policy from the reference:
/// the mean of `log π - log π_ref` over prompts and responses to other prompts, at least 0, through which no gradient flows.
pub fn kto(
    settings: &Kto,
    desirability: Desirability,
    policy: ResponseLogProb,
    reference: ResponseLogProb,
    kl: f64,
) -> ResponseLoss {
    let (weight, sign) = match desirability {
        Desirability::Desirable => (settings.desirable_weight, 1.0),
        Desirability::Undesirable => (settings.undesirable_weight, -1.0),
    };
    let x = sign * settings.beta * (policy.sum - reference.sum - kl);
    ResponseLoss {
        value: weight * sigmoid(-x),
        derivative: -weight * sign * settings.beta * sigmoid(x) * sigmoid(-x),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Desirability, Kto, ResponseLogProb, kto};

    proptest! {
        #[test]
        fn the_derivative_is_the_difference(
            sum in -200.0..-1.0_f64, ratio in -20.0..20.0_f64, kl in 0.0..10.0_f64, beta in 0.01..2.0_f64,
            desirable_weight in 0.0..3.0_f64, undesirable_weight in 0.0..3.0_f64,
        ) {
            let settings = Kto { beta, desirable_weight, undesirable_weight };
            for desirability in [Desirability::Desirable, Desirability::Undesirable] {
                let reference = ResponseLogProb { sum: sum - ratio, tokens: 20 };
                let at = |sum| kto(&settings, desirability, ResponseLogProb { sum, tokens: 20 }, reference, kl);
                let difference = (at(sum + 1e-5).value - at(sum - 1e-5).value) / 2e-5;
                prop_assert!((at(sum).derivative - difference).abs() < 1e-6);
            }
        }
    }
}
