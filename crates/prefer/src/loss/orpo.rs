//! Odds ratio preference optimisation: fine-tuning and preference in one loss, without a reference.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{
    PairLogProb, PairLoss,
    stable::{log_1m_exp, log_sigmoid, sigmoid},
};
use crate::error::{SettingError, require};

/// Settings of [`orpo`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Orpo {
    /// Weight of the odds ratio against the negative log-likelihood, λ in the paper; above 0, at most 100.
    pub beta: f64,
}

impl Default for Orpo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Orpo {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(self.beta > 0.0 && self.beta <= 100.0, "beta", self.beta, "above 0 and at most 100")
    }
}

/// A mean log-probability is held below this: at 0 the odds are infinite. It is the smallest distance from
/// probability 1 that an `f32` can show.
const LARGEST_MEAN: f64 = -(f32::EPSILON as f64) / 2.0;

/// The odds-ratio part of the loss of one pair (Hong et al. 2024, arXiv 2403.07691, equations 4 and 7):
///
/// `log odds(y) = m(y) - log(1 - exp m(y))`, `m(y) = log π(y) / |y|`
///
/// `L = -β · log σ(log odds(y_c) - log odds(y_r))`
///
/// The mean negative log-likelihood of the batch's chosen tokens, the other part, is added by
/// [`PreferenceLoss::pair`](super::PreferenceLoss::pair), since its mean is over the tokens of a batch. It is over
/// the response alone, as in the paper; TRL's trainer counts the prompt's tokens too.
pub fn orpo(settings: &Orpo, policy: PairLogProb) -> PairLoss {
    let chosen = policy.chosen.mean().min(LARGEST_MEAN);
    let rejected = policy.rejected.mean().min(LARGEST_MEAN);
    let log_odds_ratio = (chosen - rejected) - (log_1m_exp(chosen) - log_1m_exp(rejected));
    let by_ratio = -settings.beta * sigmoid(-log_odds_ratio);
    // d log odds / d mean = 1 / (1 - exp mean).
    PairLoss {
        value: -settings.beta * log_sigmoid(log_odds_ratio),
        chosen: by_ratio / -chosen.exp_m1() / policy.chosen.tokens as f64,
        rejected: -by_ratio / -rejected.exp_m1() / policy.rejected.tokens as f64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::finite_differences, Orpo, orpo};
    use crate::loss::{PairLogProb, ResponseLogProb};

    proptest! {
        #[test]
        fn derivatives_are_differences(policy in finite_differences::pair(), beta in 0.05..2.0_f64) {
            finite_differences::check(|policy| orpo(&Orpo { beta }, policy), policy);
        }
    }

    #[test]
    fn certain_responses_stay_finite() {
        let certain = ResponseLogProb { sum: 0.0, tokens: 3 };
        let hopeless = ResponseLogProb { sum: -3000.0, tokens: 3 };
        for (chosen, rejected) in [(certain, certain), (certain, hopeless), (hopeless, certain)] {
            let loss = orpo(&Orpo::default(), PairLogProb { chosen, rejected });
            assert!(
                loss.value.is_finite() && loss.chosen.is_finite() && loss.rejected.is_finite(),
                "{loss:?}"
            );
        }
    }
}
