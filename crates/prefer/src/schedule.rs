//! The learning rate over a run: linear warm-up, then decay, as in transformers.

use std::f64::consts::PI;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::error::{SettingError, require};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays: `get_constant_schedule_with_warmup`.
    Constant,
    /// In a line to 0: `get_linear_schedule_with_warmup`.
    Linear,
    /// Along half a cosine to 0: `get_cosine_schedule_with_warmup`.
    Cosine,
}

/// A learning rate schedule. It gives the factors of transformers' schedules of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The part of all steps over which the learning rate rises from 0; 0 to 1, rounded up to whole steps. The last step is
    /// never one of them, so that a training of one step trains.
    pub warmup_ratio: f64,
    /// What comes after.
    pub decay: Decay,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { warmup_ratio: 0.1, decay: Decay::Cosine }
    }
}

impl Schedule {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        require(
            (0.0..=1.0).contains(&self.warmup_ratio),
            "warmup_ratio",
            self.warmup_ratio,
            "at least 0 and at most 1",
        )
    }

    /// The number of warm-up steps of a run of `steps` steps, fewer than `steps`.
    pub fn warmup_steps(&self, steps: u64) -> u64 {
        ((steps as f64 * self.warmup_ratio).ceil() as u64).min(steps.saturating_sub(1))
    }

    /// What the learning rate of the step after `done` steps is multiplied by, 0 to 1, in a run of `steps` steps.
    ///
    /// As with transformers' trainer, the first step of a warm-up has the factor 0.
    pub fn factor(&self, done: u64, steps: u64) -> f64 {
        let warmup = self.warmup_steps(steps);
        if done < warmup {
            return done as f64 / warmup as f64;
        }
        let progress = (done - warmup) as f64 / steps.saturating_sub(warmup).max(1) as f64;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => (1.0 - progress).max(0.0),
            Decay::Cosine => (0.5 * (1.0 + (PI * progress).cos())).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decay, Schedule};

    #[test]
    fn a_warm_up_leaves_a_step_at_the_full_rate() {
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            for warmup_ratio in [0.0, 0.1, 0.5, 1.0] {
                let schedule = Schedule { warmup_ratio, decay };
                for steps in 1..30 {
                    let largest = (0..steps).map(|done| schedule.factor(done, steps)).fold(0.0, f64::max);
                    assert!((largest - 1.0).abs() < 1e-12, "{schedule:?}, {steps} steps: {largest}");
                }
            }
        }
    }
}
