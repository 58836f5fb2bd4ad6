//! The recipes of the literature that the loop can follow.

use std::fmt;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

/// A recipe of the literature: what is written, reviewed and trained on. Each is a file of settings in `methods/`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Review, worse responses to good pairs, new prompts from the others, fine-tuning, preference (arXiv 2412.15151).
    #[default]
    Lance,
    /// The same by the rules of LANCE's program, where they differ from its paper and from ours.
    LancePaper,
    /// New prompts and responses, without a review, for fine-tuning (Self-Instruct, arXiv 2212.10560).
    SelfInstruct,
    /// The seeds' responses preferred to the model's own (SPIN, arXiv 2401.01335).
    Spin,
    /// New prompts, whose best response is preferred to the worst by the model's review (arXiv 2401.10020).
    SelfRewarding,
    /// The seeds alone, for fine-tuning: what the others must beat.
    SftOnly,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Lance, Self::LancePaper, Self::SelfInstruct, Self::Spin, Self::SelfRewarding, Self::SftOnly];

    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lance => "lance",
            Self::LancePaper => "lance-paper",
            Self::SelfInstruct => "self-instruct",
            Self::Spin => "spin",
            Self::SelfRewarding => "self-rewarding",
            Self::SftOnly => "sft-only",
        }
    }

    /// The settings that make it what it is, in TOML.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Lance => include_str!("methods/lance.toml"),
            Self::LancePaper => include_str!("methods/lance_paper.toml"),
            Self::SelfInstruct => include_str!("methods/self_instruct.toml"),
            Self::Spin => include_str!("methods/spin.toml"),
            Self::SelfRewarding => include_str!("methods/self_rewarding.toml"),
            Self::SftOnly => include_str!("methods/sft_only.toml"),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
