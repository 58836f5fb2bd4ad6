//! The settings of annotation.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::{
    Damage,
    error::{SettingError, require},
};

/// Which responses may be the rejected side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectedSide {
    /// Written badly on purpose.
    Written,
    /// The model's samples.
    Sampled,
    /// Responses to other prompts.
    Mismatched,
    /// The chosen response, damaged in one of the ways of [`AnnotateSettings::damage`].
    Damaged,
}

/// Which pairs may be learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SftFrom {
    /// Seeds, and what the model wrote to new prompts.
    All,
    /// Seeds alone.
    Seeds,
}

/// How scored pairs become training examples. The thresholds are the paper's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnnotateSettings {
    /// Which pairs may be learnt from.
    pub sft_from: SftFrom,
    /// Pairs that score at least this are learnt from; 0 to 10.
    pub sft_threshold: f64,
    /// Two responses to one prompt make a preference pair where their scores differ by at least this; above 0, at most 10.
    pub pair_gap: f64,
    /// What the rejected side of a pair may be.
    pub rejected: Vec<RejectedSide>,
    /// The damage of [`RejectedSide::Damaged`]; of those that change a response, its key chooses one.
    pub damage: Vec<Damage>,
    /// Preference pairs of one prompt at most, of each [`RejectedSide`] those with the widest gap; 1 to 10,000.
    pub max_pairs_per_prompt: usize,
    /// Reviews to learn from at most, 0 to 1,000,000; 0 for none.
    pub review_examples: usize,
}

impl Default for AnnotateSettings {
    fn default() -> Self {
        Self {
            sft_from: SftFrom::All,
            sft_threshold: 8.0,
            pair_gap: 2.0,
            rejected: vec![RejectedSide::Written, RejectedSide::Sampled, RejectedSide::Mismatched],
            damage: vec![Damage::Shuffled, Damage::Repeated],
            max_pairs_per_prompt: 4,
            review_examples: 32,
        }
    }
}

impl AnnotateSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let Self { sft_threshold, pair_gap, .. } = *self;
        require((0.0..=10.0).contains(&sft_threshold), "sft_threshold", sft_threshold, "from 0 to 10")?;
        require(pair_gap > 0.0 && pair_gap <= 10.0, "pair_gap", pair_gap, "above 0 and at most 10")?;
        let asked = self.rejected.contains(&RejectedSide::Damaged);
        require(
            !asked || !self.damage.is_empty(),
            "damage",
            "empty",
            "at least one where damaged is rejected",
        )?;
        let Self { max_pairs_per_prompt: pairs, review_examples: reviews, .. } = *self;
        require((1..=10_000).contains(&pairs), "max_pairs_per_prompt", pairs, "from 1 to 10000")?;
        require(reviews <= 1_000_000, "review_examples", reviews, "at most 1000000")
    }

    pub(super) fn allows(&self, side: RejectedSide) -> bool {
        self.rejected.contains(&side)
    }
}

#[cfg(test)]
mod tests {
    use super::AnnotateSettings;

    #[test]
    fn the_defaults_are_valid_and_read_from_nothing() {
        let settings: AnnotateSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, AnnotateSettings::default());
        settings.validate().unwrap();
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        for text in [
            r#"{"sft_threshold": 11}"#,
            r#"{"pair_gap": 0}"#,
            r#"{"max_pairs_per_prompt": 0}"#,
            r#"{"rejected": ["damaged"], "damage": []}"#,
        ] {
            let error = serde_json::from_str::<AnnotateSettings>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{text}: {error}");
        }
    }
}
