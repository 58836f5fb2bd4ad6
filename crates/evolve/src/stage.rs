//! The stages of an iteration.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stage, in the order in which stages are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Seeds are read into the ledger and the model is written in the format in which it is run (iteration 0 only).
    Import,
    /// The reviewer is chosen and calibrated on seeds and damaged seeds.
    Calibrate,
    /// The model reviews the pool of seeds.
    ReviewSeeds,
    /// The model writes worse responses to good seeds, and new prompts with responses from the others.
    Generate,
    /// What is too short, too long or too like something else is dropped.
    Clean,
    /// The model reviews what is left.
    ReviewNew,
    /// Examples and preference pairs are made.
    Annotate,
    /// Fine-tuning.
    Sft,
    /// Preference optimisation.
    Preference,
    /// The model is evaluated on held-out tasks.
    Evaluate,
    /// Good new pairs join the pool of seeds.
    Merge,
}

impl Stage {
    /// Before the first iteration.
    pub const BEFORE: [Self; 2] = [Self::Import, Self::Evaluate];

    /// In each iteration.
    pub const ITERATION: [Self; 10] = [
        Self::Calibrate,
        Self::ReviewSeeds,
        Self::Generate,
        Self::Clean,
        Self::ReviewNew,
        Self::Annotate,
        Self::Sft,
        Self::Preference,
        Self::Evaluate,
        Self::Merge,
    ];

    /// The stages of an iteration, of which 0 is what comes before the first.
    pub fn of(iteration: u32) -> &'static [Self] {
        if iteration == 0 { &Self::BEFORE } else { &Self::ITERATION }
    }

    /// The stage's name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Calibrate => "calibrate",
            Self::ReviewSeeds => "review_seeds",
            Self::Generate => "generate",
            Self::Clean => "clean",
            Self::ReviewNew => "review_new",
            Self::Annotate => "annotate",
            Self::Sft => "sft",
            Self::Preference => "preference",
            Self::Evaluate => "evaluate",
            Self::Merge => "merge",
        }
    }

    /// The stage of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Import].into_iter().chain(Self::ITERATION).find(|stage| stage.as_str() == name)
    }

    /// The stage's name in tables and progress bars.
    pub fn title(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Calibrate => "calibrate the review",
            Self::ReviewSeeds => "review seeds",
            Self::Generate => "generate",
            Self::Clean => "clean",
            Self::ReviewNew => "review new data",
            Self::Annotate => "annotate",
            Self::Sft => "fine-tune",
            Self::Preference => "preference",
            Self::Evaluate => "evaluate",
            Self::Merge => "merge",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}
