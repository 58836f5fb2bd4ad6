//! What the records of a training show of known failures: gradient spikes, and both likelihoods of a pair falling.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    loss::PreferenceLoss,
    record::{PreferenceMetrics, StepRecord},
};

/// A step whose gradient was far larger than before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GradientSpike {
    /// The step.
    pub step: u64,
    /// The L2 norm of its gradient before clipping.
    pub gradient_norm: f64,
    /// The median of the steps before it.
    pub median: f64,
}

/// How many times the median a gradient's norm is that counts as a spike.
const SPIKE: f64 = 10.0;

/// Steps over which the median is taken, and how many there must be.
const WINDOW: usize = 50;
const LEAST: usize = 8;

/// The steps whose gradient is more than ten times as large as the median of up to fifty steps before.
pub fn gradient_spikes(steps: &[StepRecord]) -> Vec<GradientSpike> {
    let mut spikes = Vec::new();
    for (place, step) in steps.iter().enumerate().skip(LEAST) {
        let mut before: Vec<f64> =
            steps[place.saturating_sub(WINDOW)..place].iter().map(|step| step.gradient_norm).collect();
        before.sort_by(f64::total_cmp);
        let median = before[before.len() / 2];
        if step.gradient_norm > SPIKE * median {
            spikes.push(GradientSpike { step: step.step, gradient_norm: step.gradient_norm, median });
        }
    }
    spikes
}

impl fmt::Display for GradientSpike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, gradient_norm, median } = self;
        write!(
            f,
            "step {step}: a gradient of norm {gradient_norm:.3}, where the median before it was {median:.3}"
        )
    }
}

/// Both responses of a pair have become less probable in preference training (likelihood displacement: Pal et al. 2024,
/// arXiv 2402.13228; Razin et al. 2024, arXiv 2410.08847).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BothFall {
    /// By how much the log-probability of a chosen response has changed, below 0.
    pub chosen: f64,
    /// By how much the log-probability of a rejected one has changed, below 0.
    pub rejected: f64,
    /// Where it was seen.
    pub seen_in: SeenIn,
}

/// The pairs in which something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenIn {
    /// Those that are held out, at the last measurement.
    HeldOut,
    /// Those that were trained on, in the last tenth of the steps.
    Training,
}

/// A smaller change of a log-probability is taken as none.
const LEAST_FALL: f64 = 0.1;

/// Whether both likelihoods have fallen. Where the loss has a reference, against that: in the last measurement of held-out
/// pairs, or without one in the last tenth of the steps. Else from the first measurement of held-out pairs to the last.
pub fn both_fall(
    loss: &PreferenceLoss,
    steps: &[PreferenceMetrics],
    held_out: &[PreferenceMetrics],
) -> Option<BothFall> {
    let (chosen, rejected, seen_in) = if loss.uses_reference() {
        let (last, seen_in) = match held_out {
            [.., last] => (std::slice::from_ref(last), SeenIn::HeldOut),
            [] => (&steps[steps.len() - steps.len().div_ceil(10)..], SeenIn::Training),
        };
        // A reward is the change of a log-probability, times beta.
        let change = |of: fn(&PreferenceMetrics) -> f64| {
            last.iter().map(of).sum::<f64>() / last.len().max(1) as f64 / loss.beta()
        };
        (change(|metrics| metrics.chosen_reward), change(|metrics| metrics.rejected_reward), seen_in)
    } else {
        let [first, .., last] = held_out else { return None };
        (
            last.chosen_log_prob - first.chosen_log_prob,
            last.rejected_log_prob - first.rejected_log_prob,
            SeenIn::HeldOut,
        )
    };
    (chosen < -LEAST_FALL && rejected < -LEAST_FALL).then_some(BothFall { chosen, rejected, seen_in })
}

impl fmt::Display for BothFall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = match self.seen_in {
            SeenIn::HeldOut => "held-out pairs",
            SeenIn::Training => "the pairs of the last steps",
        };
        write!(
            f,
            "both responses became less probable: in {pairs} the log-probability of a chosen response fell by {:.1} and of a \
             rejected one by {:.1}. The loss rewards the difference alone, so what was taken from both went to texts that are \
             in no pair. Where the model writes worse for it, train with the negative log-likelihood of the chosen responses \
             beside the loss (`loss.nll_weight`, such as 0.2, for dpo and simpo), a larger `loss.beta`, a lower learning rate or \
             fewer steps, or leave out pairs whose two sides are nearly the same",
            -self.chosen, -self.rejected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{SeenIn, both_fall, gradient_spikes};
    use crate::{
        loss::PreferenceLoss,
        record::{PreferenceMetrics, StepRecord},
    };

    fn steps(norms: &[f64]) -> Vec<StepRecord> {
        norms
            .iter()
            .zip(1..)
            .map(|(&gradient_norm, step)| StepRecord {
                step,
                loss: 1.0,
                learning_rate: 0.1,
                gradient_norm,
                examples: 1,
                tokens: 1,
                target_tokens: 1,
                preference: None,
            })
            .collect()
    }

    fn metrics(chosen: f64, rejected: f64) -> PreferenceMetrics {
        PreferenceMetrics {
            chosen_reward: 0.1 * chosen,
            rejected_reward: 0.1 * rejected,
            reward_margin: 0.1 * (chosen - rejected),
            accuracy: 1.0,
            chosen_log_prob: -50.0 + chosen,
            rejected_log_prob: -60.0 + rejected,
        }
    }

    #[test]
    fn a_spike_is_far_above_the_median() {
        let mut norms = vec![1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.0, 1.3, 9.0, 1.0, 11.5, 1.0];
        let found = gradient_spikes(&steps(&norms));
        assert_eq!(found.iter().map(|spike| spike.step).collect::<Vec<_>>(), [11]);
        assert!(found[0].to_string().contains("step 11"), "{}", found[0]);
        norms.truncate(8);
        assert!(gradient_spikes(&steps(&norms)).is_empty());
        assert!(gradient_spikes(&steps(&[1.0, 100.0])).is_empty(), "too few to say");
    }

    #[test]
    fn both_falling_is_seen_and_explained() {
        let dpo = PreferenceLoss::default();
        let fallen = both_fall(&dpo, &[metrics(0.0, 0.0), metrics(-3.0, -9.0)], &[]).unwrap();
        assert!((fallen.chosen + 3.0).abs() < 1e-9 && fallen.seen_in == SeenIn::Training, "{fallen:?}");
        assert!(fallen.to_string().contains("nll_weight"), "{fallen}");
        for (chosen, rejected) in [(1.0, -5.0), (2.0, 1.0), (-3.0, 0.5), (-0.01, -0.02)] {
            assert_eq!(both_fall(&dpo, &[metrics(0.0, 0.0), metrics(chosen, rejected)], &[]), None);
        }
        // What is held out counts where it was measured.
        let held_out = [metrics(0.0, 0.0), metrics(1.0, -1.0)];
        assert_eq!(both_fall(&dpo, &[metrics(-3.0, -9.0)], &held_out), None);
        let held_out = [metrics(0.0, 0.0), metrics(-1.0, -2.0)];
        assert_eq!(both_fall(&dpo, &[], &held_out).unwrap().seen_in, SeenIn::HeldOut);
        // Without a reference, rewards say nothing of a change.
        let simpo: PreferenceLoss = "simpo".parse().unwrap();
        assert_eq!(both_fall(&simpo, &[metrics(-3.0, -9.0)], &[]), None);
        assert!(both_fall(&simpo, &[], &held_out).is_some());
        assert_eq!(both_fall(&dpo, &[], &[]), None);
    }
}
