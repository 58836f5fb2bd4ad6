//! Recipes without one of their parts, to find out what the part adds.

use std::fmt;

use lancer_review::{ModeSetting, RejectedSide};

use super::{Expansion, Recipe};
use crate::error::EvolveError;

/// A part of the loop that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ablation {
    /// Fine-tuning.
    Sft,
    /// Preference training.
    Dpo,
    /// Reviews: everything counts as good enough, and all sources get new prompts.
    Review,
    /// Cleaning: lengths and near copies. What evaluation tasks hold is dropped all the same.
    Clean,
    /// Everything that the model writes.
    Generate,
    /// Worse responses.
    Worse,
    /// New prompts.
    New,
}

impl Ablation {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Sft, Self::Dpo, Self::Review, Self::Clean, Self::Generate, Self::Worse, Self::New];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::Review => "review",
            Self::Clean => "clean",
            Self::Generate => "generate",
            Self::Worse => "worse",
            Self::New => "new",
        }
    }
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Recipe {
    /// The recipe without a part.
    ///
    /// # Errors
    /// [`EvolveError::Ablation`] where the recipe does not have the part, or where nothing to train on would be left.
    pub fn without(mut self, part: Ablation) -> Result<Self, EvolveError> {
        let whole = self.clone();
        match part {
            Ablation::Sft => self.sft.max_examples = Some(0),
            Ablation::Dpo => self.preference.max_pairs = Some(0),
            Ablation::Review => {
                self.review.mode = ModeSetting::None;
                self.annotate.review_examples = 0;
                if self.expand.to == Expansion::ByScore {
                    self.expand.to = Expansion::NewPrompts;
                }
            }
            Ablation::Clean => {
                self.clean.min_prompt_words = 0;
                self.clean.min_response_words = 0;
                self.clean.max_response_words = 1_000_000;
                self.clean.forbidden.clear();
                self.clean.threshold = 1.0;
            }
            Ablation::Generate => self.expand.to = Expansion::Nothing,
            Ablation::Worse => self.expand.worse_responses = 0,
            Ablation::New => self.expand.prompts = 0,
        }
        let refused = |reason: &str| Err(EvolveError::Ablation { part, reason: reason.into() });
        if whole == self || (!whole.writes_worse() && part == Ablation::Worse) {
            return refused("the recipe does not have it");
        }
        if !whole.writes_new() && part == Ablation::New {
            return refused("the recipe does not have it");
        }
        if !self.fine_tunes() && !self.prefers() {
            return refused("nothing to train on would be left; leave out another part");
        }
        Ok(self)
    }

    fn writes_new(&self) -> bool {
        let asks = matches!(self.expand.to, Expansion::ByScore | Expansion::NewPrompts);
        asks && self.expand.prompts > 0 && self.expand.responses > 0
    }

    fn writes_worse(&self) -> bool {
        let asks = matches!(self.expand.to, Expansion::ByScore | Expansion::WorseResponses);
        asks && self.expand.worse_responses > 0
    }

    fn fine_tunes(&self) -> bool {
        self.sft.max_examples != Some(0)
    }

    /// Whether there may be preference pairs.
    fn prefers(&self) -> bool {
        let made_of_seeds = [RejectedSide::Mismatched, RejectedSide::Damaged];
        let needs_no_text = self.annotate.rejected.iter().any(|side| made_of_seeds.contains(side));
        self.preference.max_pairs != Some(0)
            && !self.annotate.rejected.is_empty()
            && (needs_no_text || self.writes_worse() || self.writes_new())
    }
}

#[cfg(test)]
mod tests {
    use super::Ablation;
    use crate::recipe::{Method, Recipe};

    #[test]
    fn each_part_of_lance_can_be_left_out() {
        let whole = Recipe { model: "m".into(), seeds: "s".into(), ..Recipe::default() };
        for part in Ablation::ALL {
            let without = whole.clone().without(part).unwrap();
            without.validate().unwrap_or_else(|error| panic!("{part}: {error}"));
            assert!(!without.differences(&whole).is_empty(), "{part}");
        }
    }

    #[test]
    fn a_part_that_is_not_there_and_the_last_one_are_refused() {
        let of = |method, part| Recipe::default().following(method).without(part).map(drop);
        for (method, part, said) in [
            (Method::SftOnly, Ablation::Sft, "nothing to train on"),
            (Method::SftOnly, Ablation::Dpo, "does not have it"),
            (Method::SelfInstruct, Ablation::Worse, "does not have it"),
            (Method::Spin, Ablation::New, "does not have it"),
            (Method::Spin, Ablation::Review, "does not have it"),
        ] {
            let error = of(method, part).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(part.name()), "{method}, {part}: {error}");
        }
        let twice = Recipe::default().without(Ablation::Sft).unwrap().without(Ablation::Dpo);
        assert!(twice.unwrap_err().to_string().contains("nothing to train on"));
    }
}
