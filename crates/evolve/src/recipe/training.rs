//! How the model is trained in each phase.

use lancer_backend::TrainedTurns;
use lancer_prefer::{
    BatchSize, LongExamples, OptimizerSettings, Schedule, SettingError, TrainSettings, check_held_out,
    loss::{Dpo, PreferenceLoss},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engines::TrainerSettings;

/// Fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SftSettings {
    /// In which iterations there is fine-tuning.
    pub iterations: SftIterations,
    /// Examples of an iteration at most, drawn at random from all; all of them where it is absent. 0 leaves fine-tuning
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_examples: Option<usize>,
    /// The part of the examples that is held out to watch the loss, 0 to below 1: all examples of some prompts.
    pub held_out: f64,
    /// Which of the model's turns of a conversation are trained on: the `last`, which is the one that was reviewed, or `all`.
    pub turns: TrainedTurns,
    /// Batches, epochs, optimizer and schedule.
    pub train: TrainSettings,
    /// The program that trains, by the name that the caller has for it; the caller's own engine where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trainer: Option<String>,
    /// How a program that trains elsewhere is found and started. Whoever brings the programs reads it.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub job: toml::Table,
    /// What the training engine takes: which weights are trained and how.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub learner: toml::Table,
}

/// In which iterations there is fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
            turns: TrainedTurns::Last,
            train: train(1e-5),
            trainer: None,
            job: toml::Table::new(),
            learner: toml::Table::new(),
        }
    }
}

/// Preference optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceSettings {
    /// Pairs of an iteration at most, drawn at random from all; all of them where it is absent. 0 leaves preference
    /// optimisation out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
    /// The part of the pairs that is held out to watch the loss, 0 to below 1: all pairs of some prompts.
    pub held_out: f64,
    /// The loss.
    pub loss: PreferenceLoss,
    /// Batches, epochs, optimizer and schedule.
    pub train: TrainSettings,
    /// The program that trains, by the name that the caller has for it; the caller's own engine where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trainer: Option<String>,
    /// How a program that trains elsewhere is found and started. Whoever brings the programs reads it.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub job: toml::Table,
    /// What the training engine takes: which weights are trained and how.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub learner: toml::Table,
}

impl Default for PreferenceSettings {
    fn default() -> Self {
        Self {
            max_pairs: None,
            held_out: 0.1,
            loss: PreferenceLoss::Dpo(Dpo::default()),
            train: train(5e-6),
            trainer: None,
            job: toml::Table::new(),
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

impl SftSettings {
    /// Checks the range of every setting.
    ///
    /// # Errors
    /// [`SettingError`], naming the setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        check_held_out(self.held_out)?;
        self.train.validate()
    }

    /// What a program that trains elsewhere is asked for; `None` where the recipe names none.
    pub fn trainer(&self) -> Option<TrainerSettings<'_>> {
        let trainer = self.trainer.as_deref()?;
        Some(TrainerSettings {
            trainer,
            job: &self.job,
            learner: &self.learner,
            train: &self.train,
            loss: None,
        })
    }
}

impl PreferenceSettings {
    /// Checks the range of every setting.
    ///
    /// # Errors
    /// [`SettingError`], naming the setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        check_held_out(self.held_out)?;
        self.loss.validate()?;
        self.train.validate()
    }

    /// What a program that trains elsewhere is asked for; `None` where the recipe names none.
    pub fn trainer(&self) -> Option<TrainerSettings<'_>> {
        let trainer = self.trainer.as_deref()?;
        let (job, learner, train) = (&self.job, &self.learner, &self.train);
        Some(TrainerSettings { trainer, job, learner, train, loss: Some(&self.loss) })
    }
}
