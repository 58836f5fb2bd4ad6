//! Why a candidate was dropped.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The rules by which candidates are dropped, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The engine stopped at its token limit. Only who generated the text knows; [`clean`](crate::clean) never says it.
    Incomplete,
    /// The prompt or the response is white space.
    EmptyText,
    /// Fewer words than [`min_prompt_words`](crate::CleanSettings::min_prompt_words).
    PromptTooShort,
    /// Fewer words than [`min_response_words`](crate::CleanSettings::min_response_words).
    ResponseTooShort,
    /// More words than [`max_response_words`](crate::CleanSettings::max_response_words).
    ResponseTooLong,
    /// One of [`forbidden`](crate::CleanSettings::forbidden).
    ForbiddenWord,
    /// Too many words in a row are in an item of an evaluation task, which the detail names.
    Contaminated,
    /// The same words as something it is compared with.
    ExactDuplicate,
    /// A near copy of the seed it came from.
    NearCopyOfSource,
    /// A near copy of an earlier candidate of the same family.
    NearCopyOfSibling,
    /// A near copy of another record of the pool, or of an earlier candidate of another family.
    NearCopyOfPool,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Self; 11] = [
        Self::Incomplete,
        Self::EmptyText,
        Self::PromptTooShort,
        Self::ResponseTooShort,
        Self::ResponseTooLong,
        Self::ForbiddenWord,
        Self::Contaminated,
        Self::ExactDuplicate,
        Self::NearCopyOfSource,
        Self::NearCopyOfSibling,
        Self::NearCopyOfPool,
    ];

    /// Its name, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::EmptyText => "empty_text",
            Self::PromptTooShort => "prompt_too_short",
            Self::ResponseTooShort => "response_too_short",
            Self::ResponseTooLong => "response_too_long",
            Self::ForbiddenWord => "forbidden_word",
            Self::Contaminated => "contaminated",
            Self::ExactDuplicate => "exact_duplicate",
            Self::NearCopyOfSource => "near_copy_of_source",
            Self::NearCopyOfSibling => "near_copy_of_sibling",
            Self::NearCopyOfPool => "near_copy_of_pool",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a candidate was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// By which rule.
    pub rule: Rule,
    /// The key of the record that it resembles, where the rule compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resembles: Option<String>,
    /// The figure that decided, such as `3 words` or `prompt: recall 0.83`.
    pub detail: String,
}

/// How many candidates each rule dropped; rules that dropped none are left out.
pub fn rule_counts(verdicts: &[Option<Drop>]) -> BTreeMap<Rule, usize> {
    let mut counts = BTreeMap::new();
    for drop in verdicts.iter().flatten() {
        *counts.entry(drop.rule).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn a_rule_is_serialised_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        }
    }
}
