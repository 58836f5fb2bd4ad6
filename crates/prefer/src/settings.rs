//! The settings of a training run.

use lancer_backend::StepSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{SettingError, require},
    schedule::Schedule,
};

/// How many examples an optimizer step sees. A preference pair is one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchSize {
    /// So many examples, at least 1; fewer in the last batch of an epoch.
    Examples(usize),
    /// As many examples as have so many tokens together, prompts included, and at least one example.
    Tokens(usize),
}

/// What becomes of an example that is longer than [`TrainSettings::max_length`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LongExamples {
    /// It is left out, and reported.
    Skip,
    /// The end of its response is cut off, with the end of the turn, and that is reported. Where not even one token of
    /// the response fits it is left out.
    Truncate,
}

/// AdamW with gradient clipping; the learning rate at its peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// The largest learning rate of the schedule; at least 1e-30, at most 1.
    pub learning_rate: f64,
    /// Decay rate of the first moment; at least 0, at most 0.999999.
    pub beta_1: f64,
    /// Decay rate of the second moment; at least 0, at most 0.999999.
    pub beta_2: f64,
    /// Added to the denominator; at least 1e-30, at most 1.
    pub epsilon: f64,
    /// Decoupled weight decay; at least 0, at most 1.
    pub weight_decay: f64,
    /// The gradient is scaled down to this L2 norm where it is larger; at least 1e-30, at most 1e30. `None`
    /// leaves it.
    pub max_gradient_norm: Option<f64>,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        let StepSettings { learning_rate, beta_1, beta_2, epsilon, weight_decay, max_gradient_norm } =
            StepSettings::default();
        Self { learning_rate, beta_1, beta_2, epsilon, weight_decay, max_gradient_norm }
    }
}

impl OptimizerSettings {
    /// The settings of one step, at a factor of the schedule.
    pub fn at(&self, factor: f64) -> StepSettings {
        StepSettings {
            learning_rate: self.learning_rate * factor,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            max_gradient_norm: self.max_gradient_norm,
        }
    }

    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        // Learners compute in 32-bit floats, in which smaller numbers are 0 and larger betas 1.
        let beta = "at least 0 and at most 0.999999";
        let above_0 = "at least 1e-30 and at most 1";
        require((1e-30..=1.0).contains(&self.learning_rate), "learning_rate", self.learning_rate, above_0)?;
        require((0.0..=0.999_999).contains(&self.beta_1), "beta_1", self.beta_1, beta)?;
        require((0.0..=0.999_999).contains(&self.beta_2), "beta_2", self.beta_2, beta)?;
        require((1e-30..=1.0).contains(&self.epsilon), "epsilon", self.epsilon, above_0)?;
        require(
            (0.0..=1.0).contains(&self.weight_decay),
            "weight_decay",
            self.weight_decay,
            "at least 0 and at most 1",
        )?;
        match self.max_gradient_norm {
            Some(norm) => require(
                (1e-30..=1e30).contains(&norm),
                "max_gradient_norm",
                norm,
                "at least 1e-30 and at most 1e30",
            ),
            None => Ok(()),
        }
    }
}

/// What decides a training run, besides the model, the examples and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// How often every example is seen; 1 to 10,000.
    pub epochs: u32,
    /// Ends the run after so many steps if it has more; at least 1. The schedule then ends there too.
    pub max_steps: Option<u64>,
    /// Examples of one optimizer step.
    pub batch: BatchSize,
    /// The most tokens of one forward pass, which bounds the memory: a batch with more is split and its gradients are
    /// accumulated, which changes nothing but rounding. Counts the real tokens of prompts and responses; an example
    /// that has more by itself goes alone. At least 1.
    pub tokens_per_forward: usize,
    /// Examples are sorted by length within shuffled groups of this many before they are cut into batches, so that a
    /// batch has examples of like length; 1 leaves them shuffled. At least 1.
    pub length_bucket: usize,
    /// The longest sequence, in tokens, prompt included; at least 2. The learner's context is a limit too.
    pub max_length: usize,
    /// What becomes of longer ones.
    pub long_examples: LongExamples,
    /// Optimizer.
    pub optimizer: OptimizerSettings,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// Evaluates the held-out examples before the first step, after every so many, and after the last; at least 1.
    pub evaluate_every: Option<u64>,
    /// Saves a checkpoint after every so many steps; at least 1.
    pub checkpoint_every: Option<u64>,
    /// Number of checkpoints that are kept; older ones of this run are removed. At least 1. With 2 there is an older one to go
    /// on from where the last is damaged.
    pub keep_checkpoints: usize,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 1,
            max_steps: None,
            batch: BatchSize::Examples(16),
            tokens_per_forward: 2048,
            length_bucket: 64,
            max_length: 1024,
            long_examples: LongExamples::Skip,
            optimizer: OptimizerSettings::default(),
            schedule: Schedule::default(),
            evaluate_every: None,
            checkpoint_every: None,
            keep_checkpoints: 1,
        }
    }
}

impl TrainSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let at_least_1 = "at least 1";
        require((1..=10_000).contains(&self.epochs), "epochs", self.epochs, "from 1 to 10000")?;
        let (BatchSize::Examples(size) | BatchSize::Tokens(size)) = self.batch;
        require(size >= 1, "batch", size, at_least_1)?;
        require(self.tokens_per_forward >= 1, "tokens_per_forward", self.tokens_per_forward, at_least_1)?;
        require(self.length_bucket >= 1, "length_bucket", self.length_bucket, at_least_1)?;
        require(self.max_length >= 2, "max_length", self.max_length, "at least 2")?;
        require(self.keep_checkpoints >= 1, "keep_checkpoints", self.keep_checkpoints, at_least_1)?;
        for (field, steps) in [
            ("max_steps", self.max_steps),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
        ] {
            require(steps != Some(0), field, 0, at_least_1)?;
        }
        self.optimizer.validate()?;
        self.schedule.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::TrainSettings;

    #[test]
    fn the_defaults_are_valid_and_read_from_nothing() {
        let settings: TrainSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, TrainSettings::default());
        settings.validate().unwrap();
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        for text in [
            r#"{"epochs": 0}"#,
            r#"{"batch": {"tokens": 0}}"#,
            r#"{"tokens_per_forward": 0}"#,
            r#"{"length_bucket": 0}"#,
            r#"{"max_length": 1}"#,
            r#"{"max_steps": 0}"#,
            r#"{"checkpoint_every": 0}"#,
            r#"{"keep_checkpoints": 0}"#,
            r#"{"optimizer": {"learning_rate": 0.0}}"#,
            r#"{"optimizer": {"learning_rate": 1e-60}}"#,
            r#"{"optimizer": {"learning_rate": 10}}"#,
            r#"{"optimizer": {"beta_1": 1.0}}"#,
            r#"{"optimizer": {"beta_2": 0.99999999999}}"#,
            r#"{"optimizer": {"epsilon": 1e-60}}"#,
            r#"{"optimizer": {"weight_decay": -0.1}}"#,
            r#"{"optimizer": {"max_gradient_norm": -1.0}}"#,
            r#"{"optimizer": {"max_gradient_norm": 0}}"#,
            r#"{"epochs": 10001}"#,
            r#"{"batch": {"examples": 0}}"#,
            r#"{"evaluate_every": 0}"#,
            r#"{"schedule": {"warmup_ratio": -0.5}}"#,
            r#"{"schedule": {"warmup_ratio": 1.5}}"#,
        ] {
            let error = serde_json::from_str::<TrainSettings>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{text}: {error}");
        }
        let unknown = serde_json::from_str::<TrainSettings>(r#"{"epoch": 1}"#).unwrap_err();
        assert!(unknown.to_string().contains("`epoch`"), "{unknown}");
    }
}
