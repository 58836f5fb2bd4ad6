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

/// Whether a score that is exactly as high as a threshold reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It does.
    AtLeast,
    /// It does not: only what is above it counts.
    Above,
}

impl Bound {
    /// Whether `value` reaches `threshold`.
    pub fn is_reached(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
        }
    }
}

/// Which two of the responses to a prompt make a preference pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairRule {
    /// Any two whose scores are far enough apart; a seed's response is only ever chosen, one that was written badly on purpose
    /// only ever rejected.
    Apart,
    /// As LANCE's program has it: where worse responses were written, the response with the lowest score of all, the original among
    /// them, against each that is far enough above it.
    AgainstLowest,
}

/// Which seeds are learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeedRule {
    /// Those whose score reaches the threshold.
    ByScore,
    /// All of them.
    All,
}

/// What becomes of the examples and pairs of earlier iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Earlier {
    /// They are not trained on again.
    LeftOut,
    /// They are trained on again, in every later iteration.
    Added,
}

/// How scored pairs become training examples. The thresholds are the paper's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnnotateSettings {
    /// Which pairs may be learnt from.
    pub sft_from: SftFrom,
    /// Pairs that score at least this are learnt from; 0 to 10.
    pub sft_threshold: f64,
    /// Whether a score of exactly `sft_threshold` counts.
    pub sft_bound: Bound,
    /// Which seeds are learnt from.
    pub seeds: SeedRule,
    /// Prompts and responses of at most so many characters are not learnt from; 0 to 1,000,000.
    pub min_chars: usize,
    /// Which responses make a pair.
    pub pairs: PairRule,
    /// Whether scores exactly `pair_gap` apart count.
    pub pair_bound: Bound,
    /// What becomes of the examples and pairs of earlier iterations.
    pub earlier: Earlier,
    /// Two responses to one prompt make a preference pair where their scores differ by at least this; above 0, at most 10.
    pub pair_gap: f64,
    /// Where `pairs = "apart"`: of a new prompt's responses only two make a pair, the shortest whose score is within this share of the
    /// prompt's range of scores below the best, and the longest within as much above the worst (Meta-Rewarding, arXiv 2407.19594).
    /// 0 to 0.5; 0 for pairs whatever their lengths.
    pub length_tier: f64,
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
            sft_bound: Bound::AtLeast,
            seeds: SeedRule::ByScore,
            min_chars: 0,
            pairs: PairRule::Apart,
            pair_bound: Bound::AtLeast,
            earlier: Earlier::LeftOut,
            pair_gap: 2.0,
            length_tier: 0.0,
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
        let Self { sft_threshold, pair_gap, length_tier, .. } = *self;
        require((0.0..=10.0).contains(&sft_threshold), "sft_threshold", sft_threshold, "from 0 to 10")?;
        require(pair_gap > 0.0 && pair_gap <= 10.0, "pair_gap", pair_gap, "above 0 and at most 10")?;
        require((0.0..=0.5).contains(&length_tier), "length_tier", length_tier, "from 0 to 0.5")?;
        let asked = self.rejected.contains(&RejectedSide::Damaged);
        require(
            !asked || !self.damage.is_empty(),
            "damage",
            "empty",
            "at least one where damaged is rejected",
        )?;
        let Self { max_pairs_per_prompt: pairs, review_examples: reviews, min_chars, .. } = *self;
        require(min_chars <= 1_000_000, "min_chars", min_chars, "at most 1000000")?;
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
            r#"{"length_tier": 0.6}"#,
            r#"{"min_chars": 1000001}"#,
            r#"{"max_pairs_per_prompt": 0}"#,
            r#"{"rejected": ["damaged"], "damage": []}"#,
        ] {
            let error = serde_json::from_str::<AnnotateSettings>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{text}: {error}");
        }
    }
}
