//! One of the preference losses, picked by name in a configuration.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Apo, BcoPair, Desirability, Dpo, ExoPair, Ipo, Kto, Orpo, PairLogProb, PairLoss, Robust, SigmoidNorm,
    SimPo, SppoHard, apo_down, apo_zero, bco_pair, dpo, exo_pair, ipo, kto, nll, orpo, robust, sigmoid_norm,
    simpo, sppo_hard,
};
use crate::error::SettingError;

/// A preference loss with its settings. In a configuration, `kind` names it and its settings stand beside:
/// `{ kind = "dpo", beta = 0.1 }`; what is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PreferenceLoss {
    /// Direct preference optimisation (arXiv 2305.18290): TRL's `sigmoid`.
    Dpo(Dpo),
    /// Identity preference optimisation (arXiv 2310.12036).
    Ipo(Ipo),
    /// SimPO: without a reference, by the mean log-probability of a token (arXiv 2405.14734).
    #[serde(rename = "simpo")]
    SimPo(SimPo),
    /// ORPO: fine-tuning with an odds ratio, without a reference (arXiv 2403.07691).
    Orpo(Orpo),
    /// KTO: each response judged by itself (arXiv 2402.01306).
    Kto(Kto),
    /// Length-normalised DPO: log-probabilities as means over tokens.
    SigmoidNorm(SigmoidNorm),
    /// DPO where a known share of the pairs is the wrong way round (arXiv 2403.00409).
    Robust(Robust),
    /// EXO for pairs: the reverse KL divergence to the preferences (arXiv 2402.00856).
    ExoPair(ExoPair),
    /// SPPO with hard labels (arXiv 2405.00675).
    SppoHard(SppoHard),
    /// APO-zero: the chosen response up, the rejected one down (arXiv 2408.06266).
    ApoZero(Apo),
    /// APO-down: both down, the rejected one further (arXiv 2408.06266).
    ApoDown(Apo),
    /// BCO for pairs: a binary classifier on the rewards, without their shift (arXiv 2404.04656).
    BcoPair(BcoPair),
}

impl Default for PreferenceLoss {
    fn default() -> Self {
        Self::Dpo(Dpo::default())
    }
}

/// A name that is not a loss's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no preference loss {name:?}; it is one of dpo, ipo, simpo, orpo, kto, sigmoid_norm, robust, exo_pair, sppo_hard, apo_zero, apo_down, bco_pair"
)]
pub struct UnknownLoss {
    /// The name.
    pub name: String,
}

/// A loss in its default settings, by its name.
impl FromStr for PreferenceLoss {
    type Err = UnknownLoss;

    fn from_str(name: &str) -> Result<Self, UnknownLoss> {
        match name {
            "dpo" => Ok(Self::Dpo(Dpo::default())),
            "ipo" => Ok(Self::Ipo(Ipo::default())),
            "simpo" => Ok(Self::SimPo(SimPo::default())),
            "orpo" => Ok(Self::Orpo(Orpo::default())),
            "kto" => Ok(Self::Kto(Kto::default())),
            "sigmoid_norm" => Ok(Self::SigmoidNorm(SigmoidNorm::default())),
            "robust" => Ok(Self::Robust(Robust::default())),
            "exo_pair" => Ok(Self::ExoPair(ExoPair::default())),
            "sppo_hard" => Ok(Self::SppoHard(SppoHard::default())),
            "apo_zero" => Ok(Self::ApoZero(Apo::default())),
            "apo_down" => Ok(Self::ApoDown(Apo::default())),
            "bco_pair" => Ok(Self::BcoPair(BcoPair::default())),
            _ => Err(UnknownLoss { name: name.into() }),
        }
    }
}

/// What the share of one pair in the loss of a batch depends on besides the pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchTotals {
    /// Number of pairs in the batch.
    pub pairs: usize,
    /// Number of tokens of all chosen responses in the batch.
    pub chosen_tokens: usize,
    /// For KTO, the estimate of the divergence from the reference, at least 0; the others leave it alone.
    pub kl: f64,
}

impl PreferenceLoss {
    /// The loss's name in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dpo(_) => "dpo",
            Self::Ipo(_) => "ipo",
            Self::SimPo(_) => "simpo",
            Self::Orpo(_) => "orpo",
            Self::Kto(_) => "kto",
            Self::SigmoidNorm(_) => "sigmoid_norm",
            Self::Robust(_) => "robust",
            Self::ExoPair(_) => "exo_pair",
            Self::SppoHard(_) => "sppo_hard",
            Self::ApoZero(_) => "apo_zero",
            Self::ApoDown(_) => "apo_down",
            Self::BcoPair(_) => "bco_pair",
        }
    }

    /// Checks the ranges of the settings.
    pub fn validate(&self) -> Result<(), SettingError> {
        match self {
            Self::Dpo(settings) => settings.validate(),
            Self::Ipo(settings) => settings.validate(),
            Self::SimPo(settings) => settings.validate(),
            Self::Orpo(settings) => settings.validate(),
            Self::Kto(settings) => settings.validate(),
            Self::SigmoidNorm(settings) => settings.validate(),
            Self::Robust(settings) => settings.validate(),
            Self::ExoPair(settings) => settings.validate(),
            Self::SppoHard(settings) => settings.validate(),
            Self::BcoPair(settings) => settings.validate(),
            Self::ApoZero(settings) | Self::ApoDown(settings) => settings.validate(),
        }
    }

    /// Whether the loss compares the policy with a reference; SimPO and ORPO do not.
    pub fn uses_reference(&self) -> bool {
        !matches!(self, Self::SimPo(_) | Self::Orpo(_))
    }

    /// One pair's share of the loss of a batch; the shares of all pairs add up to it. The loss of a batch is the mean
    /// of its pairs' losses (for KTO, of its responses', two a pair), plus, where the loss has it, the mean negative
    /// log-likelihood of all chosen tokens times its weight.
    ///
    /// `reference` is not read where [`uses_reference`](Self::uses_reference) is false; pass the policy's then.
    pub fn pair(&self, policy: PairLogProb, reference: PairLogProb, totals: &BatchTotals) -> PairLoss {
        let mut loss = match self {
            Self::Dpo(settings) => dpo(settings, policy, reference),
            Self::Ipo(settings) => ipo(settings, policy, reference),
            Self::SimPo(settings) => simpo(settings, policy),
            Self::Orpo(settings) => orpo(settings, policy),
            Self::Kto(settings) => kto_pair(settings, policy, reference, totals.kl),
            Self::SigmoidNorm(settings) => sigmoid_norm(settings, policy, reference),
            Self::Robust(settings) => robust(settings, policy, reference),
            Self::ExoPair(settings) => exo_pair(settings, policy, reference),
            Self::SppoHard(settings) => sppo_hard(settings, policy, reference),
            Self::ApoZero(settings) => apo_zero(settings, policy, reference),
            Self::ApoDown(settings) => apo_down(settings, policy, reference),
            Self::BcoPair(settings) => bco_pair(settings, policy, reference),
        };
        let pairs = totals.pairs as f64;
        loss.value /= pairs;
        loss.chosen /= pairs;
        loss.rejected /= pairs;
        let weight = self.nll_weight();
        if weight > 0.0 {
            let nll = nll(policy.chosen, 1.0, totals.chosen_tokens as f64);
            loss.value += weight * nll.value;
            loss.chosen += weight * nll.derivative;
        }
        loss
    }

    /// The implicit rewards of the chosen and the rejected response: with a reference `β · (log π - log π_ref)`,
    /// without one `β` times the mean log-probability of a token. For logs; no loss is computed from them.
    pub fn rewards(&self, policy: PairLogProb, reference: PairLogProb) -> (f64, f64) {
        let beta = self.beta();
        if self.uses_reference() {
            (
                beta * (policy.chosen.sum - reference.chosen.sum),
                beta * (policy.rejected.sum - reference.rejected.sum),
            )
        } else {
            (beta * policy.chosen.mean(), beta * policy.rejected.mean())
        }
    }

    /// The factor of the rewards.
    pub(crate) fn beta(&self) -> f64 {
        match self {
            Self::Dpo(settings) => settings.beta,
            Self::Ipo(settings) => settings.beta,
            Self::SimPo(settings) => settings.beta,
            Self::Orpo(settings) => settings.beta,
            Self::Kto(settings) => settings.beta,
            Self::SigmoidNorm(settings) => settings.beta,
            Self::Robust(settings) => settings.beta,
            Self::ExoPair(settings) => settings.beta,
            Self::SppoHard(settings) => settings.beta,
            Self::BcoPair(settings) => settings.beta,
            Self::ApoZero(settings) | Self::ApoDown(settings) => settings.beta,
        }
    }

    fn nll_weight(&self) -> f64 {
        match self {
            Self::Dpo(settings) => settings.nll_weight,
            Self::SimPo(settings) => settings.nll_weight,
            Self::Orpo(_) => 1.0,
            Self::Ipo(_)
            | Self::Kto(_)
            | Self::SigmoidNorm(_)
            | Self::Robust(_)
            | Self::ExoPair(_)
            | Self::SppoHard(_)
            | Self::ApoZero(_)
            | Self::ApoDown(_)
            | Self::BcoPair(_) => 0.0,
        }
    }
}

/// Both sides of a pair as KTO's single responses, the mean of their losses.
fn kto_pair(settings: &Kto, policy: PairLogProb, reference: PairLogProb, kl: f64) -> PairLoss {
    let chosen = kto(settings, Desirability::Desirable, policy.chosen, reference.chosen, kl);
    let rejected = kto(settings, Desirability::Undesirable, policy.rejected, reference.rejected, kl);
    PairLoss {
        value: f64::midpoint(chosen.value, rejected.value),
        chosen: chosen.derivative / 2.0,
        rejected: rejected.derivative / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Dpo, PreferenceLoss};

    #[test]
    fn a_configuration_names_the_loss() {
        let loss: PreferenceLoss = serde_json::from_str(r#"{"kind": "dpo", "beta": 0.3}"#).unwrap();
        assert_eq!(loss, PreferenceLoss::Dpo(Dpo { beta: 0.3, ..Dpo::default() }));
        for name in [
            "dpo",
            "ipo",
            "simpo",
            "orpo",
            "kto",
            "sigmoid_norm",
            "robust",
            "exo_pair",
            "sppo_hard",
            "apo_zero",
            "apo_down",
            "bco_pair",
        ] {
            let loss: PreferenceLoss = name.parse().unwrap();
            assert_eq!(loss.name(), name);
            let written = serde_json::to_string(&loss).unwrap();
            assert_eq!(serde_json::from_str::<PreferenceLoss>(&written).unwrap(), loss, "{written}");
        }
    }

    #[test]
    fn errors_name_what_is_allowed() {
        let unknown = serde_json::from_str::<PreferenceLoss>(r#"{"kind": "ppo"}"#).unwrap_err().to_string();
        assert!(unknown.contains("`dpo`, `ipo`, `simpo`, `orpo`, `kto`"), "{unknown}");
        let unknown = "ppo".parse::<PreferenceLoss>().unwrap_err().to_string();
        assert!(unknown.contains("one of dpo, ipo, simpo, orpo, kto"), "{unknown}");
        let field = serde_json::from_str::<PreferenceLoss>(r#"{"kind": "ipo", "gamma": 1.0}"#)
            .unwrap_err()
            .to_string();
        assert!(field.contains("gamma") && field.contains("beta"), "{field}");
        for text in [
            r#"{"kind": "dpo", "beta": 0.0}"#,
            r#"{"kind": "dpo", "label_smoothing": 0.5}"#,
            r#"{"kind": "simpo", "gamma": -1.0}"#,
            r#"{"kind": "orpo", "beta": 1e9}"#,
            r#"{"kind": "kto", "undesirable_weight": -0.1}"#,
            r#"{"kind": "robust", "label_smoothing": 0.5}"#,
            r#"{"kind": "exo_pair", "label_smoothing": 0.0}"#,
            r#"{"kind": "sppo_hard", "beta": 0.0}"#,
            r#"{"kind": "kto", "desirable_weight": 0.0, "undesirable_weight": 0.0}"#,
        ] {
            let error = serde_json::from_str::<PreferenceLoss>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{error}");
        }
    }
}
