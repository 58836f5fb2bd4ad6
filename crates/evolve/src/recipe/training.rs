//! How the model is trained in each phase.

use lancer_backend::Seed;
use lancer_prefer::{
    BatchSize, LongExamples, OptimizerSettings, Schedule, TrainSettings,
    loss::{Dpo, PreferenceLoss},
};
use serde::{Deserialize, Serialize};

/// Fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftSettings {
    /// In which iterations there is fine-tuning.
    pub iterations: SftIterations,
    /// Examples of an iteration at most, drawn at random from all; all of them where it is absent. 0 leaves fine-tuning
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_examples: Option<usize>,
    /// The part of the examples that is held out to watch the loss, 0 to below 1.
    pub held_out: f64,
    /// Batches, epochs, optimizer and schedule.
    pub train: TrainSettings,
    /// What the training engine takes: which weights are trained and how.
    pub learner: toml::Table,
}

/// In which iterations there is fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SftIterations {
    /// In every one.
    Every,
    /// In the first one only: the others are preference training alone.
    First,
}

impl Default for SftSettings {
    fn default() -> Self {
        Self {
            iterations: SftIterations::Every,
            max_examples: None,
            held_out: 0.1,
            train: train(1e-5),
            learner: toml::Table::new(),
        }
    }
}

/// Preference optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceSettings {
    /// Pairs of an iteration at most, drawn at random from all; all of them where it is absent. 0 leaves preference
    /// optimisation out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
    /// The part of the pairs that is held out to watch the loss, 0 to below 1.
    pub held_out: f64,
    /// The loss.
    pub loss: PreferenceLoss,
    /// Batches, epochs, optimizer and schedule.
    pub train: TrainSettings,
    /// What the training engine takes: which weights are trained and how.
    pub learner: toml::Table,
}

impl Default for PreferenceSettings {
    fn default() -> Self {
        Self {
            max_pairs: None,
            held_out: 0.1,
            loss: PreferenceLoss::Dpo(Dpo::default()),
            train: train(5e-6),
            learner: toml::Table::new(),
        }
    }
}

fn train(learning_rate: f64) -> TrainSettings {
    TrainSettings {
        batch: BatchSize::Examples(8),
        max_length: 512,
        long_examples: LongExamples::Skip,
        evaluate_every: Some(50),
        checkpoint_every: Some(20),
        optimizer: OptimizerSettings { learning_rate, ..OptimizerSettings::default() },
        schedule: Schedule::default(),
        ..TrainSettings::default()
    }
}

/// Which of `keys` are taken, at most `limit`, and which of those are held out: by a random number from each one's own
/// key, so that one more example changes nothing about the others.
pub(crate) fn draw(
    keys: &[&str],
    limit: Option<usize>,
    held_out: f64,
    seed: Seed,
) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&index| seed.derive(keys[index]));
    order.truncate(limit.unwrap_or(usize::MAX));
    let held_out = (order.len() as f64 * held_out.clamp(0.0, 1.0)) as usize;
    let mut train = order.split_off(held_out);
    order.sort_unstable();
    train.sort_unstable();
    (train, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_a_partition_and_repeats() {
        let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (train, held_out) = draw(&keys, Some(40), 0.25, Seed(3));
        assert_eq!((train.len(), held_out.len()), (30, 10));
        let mut all: Vec<usize> = train.iter().chain(&held_out).copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40);
        assert_eq!(draw(&keys, Some(40), 0.25, Seed(3)), (train.clone(), held_out));
        assert_ne!(draw(&keys, Some(40), 0.25, Seed(4)).0, train);
        assert_eq!(draw(&keys, None, 0.0, Seed(3)), ((0..50).collect(), vec![]));
    }
}
