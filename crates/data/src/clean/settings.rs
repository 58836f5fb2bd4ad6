//! What cleaning drops.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::{SettingError, rouge::Definition};

/// The limits of [`clean`](crate::clean); the defaults are the paper's, except for [`ShortResponses`] and [`Scope`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleanSettings {
    /// A new prompt has at least so many words; 0 to 1,000,000. Words are what white space separates, so these limits say little of
    /// languages that are written without it.
    pub min_prompt_words: usize,
    /// A response has at least so many words, 0 to 1,000,000; see `short_responses`.
    pub min_response_words: usize,
    /// A response has at most so many words; not below `min_response_words`, at most 1,000,000.
    pub max_response_words: usize,
    /// Where `min_response_words` does not hold.
    pub short_responses: ShortResponses,
    /// Words or phrases that neither a new prompt nor a response may hold, in any case; as whole words.
    pub forbidden: Vec<String>,
    /// How ROUGE-L is computed.
    pub rouge: Definition,
    /// A text is a near copy where recall, precision or F1 is over this; 0 to 1. 1 turns near copies off.
    pub threshold: f64,
    /// With what a candidate is compared.
    pub scope: Scope,
}

/// Which responses may be shorter than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShortResponses {
    /// None: the paper's rule. It drops every right answer to "What is the capital of France?".
    Drop,
    /// A response may be as short as the one of the seed it came from: a seed answered with "Paris." asks for answers
    /// like it, while one answered at length does not.
    #[default]
    AsSource,
}

/// With what a candidate is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// With its seed and what else came from that: the reference's rule. Two seeds may then give one prompt.
    Family,
    /// With everything.
    #[default]
    Pool,
}

impl Default for CleanSettings {
    fn default() -> Self {
        Self {
            min_prompt_words: 5,
            min_response_words: 10,
            max_response_words: 4096,
            short_responses: ShortResponses::default(),
            forbidden: Vec::new(),
            rouge: Definition::Rouge,
            threshold: 0.70,
            scope: Scope::default(),
        }
    }
}

/// The largest limit in words.
const MOST_WORDS: usize = 1_000_000;

impl CleanSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let invalid = |setting, reason| Err(SettingError { setting, reason });
        if !(0.0..=1.0).contains(&self.threshold) {
            return invalid("threshold", format!("{} is not between 0 and 1", self.threshold));
        }
        for (setting, words) in
            [("min_prompt_words", self.min_prompt_words), ("min_response_words", self.min_response_words)]
        {
            if words > MOST_WORDS {
                return invalid(setting, format!("{words} is not from 0 to {MOST_WORDS}"));
            }
        }
        let least = self.min_response_words.max(1);
        if !(least..=MOST_WORDS).contains(&self.max_response_words) {
            let reason = format!("{} is not from {least} to {MOST_WORDS}", self.max_response_words);
            return invalid("max_response_words", reason);
        }
        if self.forbidden.iter().any(|word| word.trim().is_empty()) {
            return invalid("forbidden", "one of the words is empty; leave it out".into());
        }
        Ok(())
    }
}
