//! The settings of a review.

use std::fmt;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::error::{SettingError, require};

/// A way to review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The model writes a justification and a score.
    Rubric,
    /// The mean score under the model's probabilities of the score tokens.
    Expected,
    /// Log-probabilities of prompt and response, calibrated.
    Likelihood,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rubric => "rubric",
            Self::Expected => "expected",
            Self::Likelihood => "likelihood",
        })
    }
}

/// Which way to review, or to find out which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeSetting {
    /// The mode that tells the run's seeds from damaged ones best.
    #[default]
    Auto,
    /// [`Mode::Rubric`].
    Rubric,
    /// [`Mode::Expected`].
    Expected,
    /// [`Mode::Likelihood`].
    Likelihood,
    /// Nothing is reviewed, for recipes that take all their data as it is.
    None,
}

/// How written reviews are sampled. The defaults are the paper's (arXiv 2412.15151).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RubricSettings {
    /// Reviews of a pair, whose mean is its score; 1 to 100.
    pub samples: usize,
    /// Above 0, at most 10.
    pub temperature: f32,
    /// Above 0, at most 1.
    pub top_p: f32,
    /// The longest review, in tokens; 8 to 1,000,000.
    pub max_tokens: usize,
    /// How often the samples that cannot be read are drawn again under other seeds; at most 100.
    pub retries: usize,
}

impl Default for RubricSettings {
    fn default() -> Self {
        Self { samples: 3, temperature: 0.7, top_p: 0.9, max_tokens: 512, retries: 2 }
    }
}

/// What a review is worth that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// The pair has no score and is not used.
    #[default]
    NoScore,
    /// The pair has the score 0, as in LANCE's program.
    Zero,
}

/// The settings of a review: which mode, how written reviews are sampled, how the likelihood review is calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewSettings {
    /// Which mode.
    pub mode: ModeSetting,
    /// Rubric: reviews of a pair, whose mean is its score; 1 to 100.
    pub samples: usize,
    /// Rubric: above 0, at most 10.
    pub temperature: f32,
    /// Rubric: above 0, at most 1.
    pub top_p: f32,
    /// Rubric: the longest review, in tokens; 8 to 1,000,000.
    pub max_tokens: usize,
    /// Rubric: how often the samples that cannot be read are drawn again under other seeds; at most 100.
    pub retries: usize,
    /// What a review is worth that cannot be read.
    pub unreadable: Unreadable,
    /// Seeds that the likelihood review is calibrated on; 4 to 1,000,000.
    pub calibration_seeds: usize,
    /// Seeds that the rubric and the expected review are measured on; 2 to 1,000,000.
    pub trial_seeds: usize,
    /// Parts of the cross-validation; 2 to 1,000.
    pub folds: usize,
}

impl Default for ReviewSettings {
    fn default() -> Self {
        let RubricSettings { samples, temperature, top_p, max_tokens, retries } = RubricSettings::default();
        Self {
            mode: ModeSetting::Auto,
            samples,
            temperature,
            top_p,
            max_tokens,
            retries,
            unreadable: Unreadable::default(),
            calibration_seeds: 48,
            trial_seeds: 8,
            folds: 5,
        }
    }
}

impl ReviewSettings {
    /// The settings of the written review.
    pub fn rubric(&self) -> RubricSettings {
        RubricSettings {
            samples: self.samples,
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            retries: self.retries,
        }
    }

    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        self.rubric().validate()?;
        let Self { calibration_seeds, trial_seeds, folds, .. } = *self;
        require(
            (4..=1_000_000).contains(&calibration_seeds),
            "calibration_seeds",
            calibration_seeds,
            "from 4 to 1000000",
        )?;
        require((2..=1_000_000).contains(&trial_seeds), "trial_seeds", trial_seeds, "from 2 to 1000000")?;
        require((2..=1000).contains(&folds), "folds", folds, "from 2 to 1000")
    }
}

impl RubricSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let temperature = self.temperature;
        require((1..=100).contains(&self.samples), "samples", self.samples, "from 1 to 100")?;
        require(
            temperature > 0.0 && temperature <= 10.0,
            "temperature",
            temperature,
            "above 0 and at most 10",
        )?;
        require(self.top_p > 0.0 && self.top_p <= 1.0, "top_p", self.top_p, "above 0 and at most 1")?;
        let max_tokens = self.max_tokens;
        require((8..=1_000_000).contains(&max_tokens), "max_tokens", max_tokens, "from 8 to 1000000")?;
        require(self.retries <= 100, "retries", self.retries, "at most 100")
    }
}

#[cfg(test)]
mod tests {
    use super::ReviewSettings;

    #[test]
    fn the_defaults_are_valid_and_read_from_nothing() {
        let settings: ReviewSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, ReviewSettings::default());
        settings.validate().unwrap();
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        for text in [
            r#"{"samples": 0}"#,
            r#"{"temperature": 0.0}"#,
            r#"{"top_p": 1.5}"#,
            r#"{"max_tokens": 1}"#,
            r#"{"retries": 1000}"#,
            r#"{"calibration_seeds": 3}"#,
            r#"{"trial_seeds": 1}"#,
            r#"{"folds": 1}"#,
        ] {
            let error = serde_json::from_str::<ReviewSettings>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{text}: {error}");
        }
        assert!(serde_json::from_str::<ReviewSettings>(r#"{"mode": "best"}"#).is_err());
    }
}
