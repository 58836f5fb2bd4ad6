//! Quality rules: each measures a text, and breaks where the measure passes a limit.
//!
//! The rules are those of Gopher (Rae et al. 2021, <https://arxiv.org/abs/2112.11446>, table A1) and C4 (Raffel et al. 2020,
//! <https://arxiv.org/abs/1910.10683>, section 2.2), and some for what language models write: refusals, leaked scaffolding.
//! They were made for web pages; which of them fit an answer, and with what limit, is for the user to say in a file.

mod frame;
mod measure;
mod patterns;
mod repetition;
mod rule;

use std::collections::BTreeMap;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::SettingError;

pub use frame::quality_frame;
pub use rule::QualityRule;

/// The rules and their limits, by the part of a pair that they are for.
///
/// ```
/// use lancer_data::{QualityRule, QualitySettings};
///
/// let settings = QualitySettings::parse(
///     "languages = ['eng']\n[prompt]\nurl_part = 0.8\n[response]\nrefusals = 0\nrepeated_lines = 0.3",
/// )?;
/// assert_eq!(settings.response[&QualityRule::RepeatedLines], 0.3);
/// let broken = settings.broken("What is a lark?", "I'm sorry, but as an AI language model I cannot answer that.");
/// assert_eq!(broken[0].to_string(), "response: refusals 3, over 0");
/// # Ok::<(), lancer_data::SettingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QualitySettings {
    /// Languages that are wanted, by their codes of ISO 639-3, for [`QualityRule::OtherLanguage`].
    pub languages: Vec<String>,
    /// The limits for prompts, by rule.
    pub prompt: BTreeMap<QualityRule, f64>,
    /// The limits for responses, by rule.
    pub response: BTreeMap<QualityRule, f64>,
}

impl Default for QualitySettings {
    /// English, and the rules that say something of answers of any length.
    fn default() -> Self {
        Self {
            languages: vec!["eng".into()],
            prompt: [(QualityRule::UrlPart, 0.8), (QualityRule::Scaffolding, 0.0)].into(),
            response: [
                (QualityRule::UrlPart, 0.8),
                (QualityRule::Scaffolding, 0.0),
                (QualityRule::Refusals, 0.0),
                (QualityRule::SymbolsPerWord, 0.1),
                (QualityRule::RepeatedLines, 0.3),
                (QualityRule::RepeatedParagraphs, 0.3),
                (QualityRule::LoremIpsum, 0.0),
            ]
            .into(),
        }
    }
}

/// Which text of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// What is asked.
    Prompt,
    /// What is answered.
    Response,
}

/// A rule that a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BrokenRule {
    /// Of which text.
    pub part: TextPart,
    /// The rule.
    pub rule: QualityRule,
    /// What was measured.
    pub value: f64,
    /// What it may be at most, or at least where the rule says so.
    pub limit: f64,
}

impl QualitySettings {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Where it is not TOML, or names a rule that does not exist.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        // What the file leaves out is off, not the default.
        let nothing = "languages = ['eng']\n[prompt]\n[response]\n";
        let invalid = |error: toml::de::Error| SettingError { setting: "quality", reason: error.to_string() };
        let mut table: toml::Table = toml::from_str(nothing).map_err(invalid)?;
        table.extend(toml::from_str::<toml::Table>(text).map_err(invalid)?);
        let settings: Self = table.try_into().map_err(invalid)?;
        settings.validate()?;
        Ok(settings)
    }

    /// Checks the languages and limits.
    pub fn validate(&self) -> Result<(), SettingError> {
        if let Some(code) =
            self.languages.iter().find(|code| whatlang::Lang::from_code(code.as_str()).is_none())
        {
            let reason = format!("`{code}` is not a known code of ISO 639-3; English is `eng`");
            return Err(SettingError { setting: "languages", reason });
        }
        if self.prompt.values().chain(self.response.values()).any(|limit| limit.is_nan()) {
            return Err(SettingError { setting: "quality", reason: "a limit is not a number".into() });
        }
        Ok(())
    }

    /// The rules that a pair breaks.
    pub fn broken(&self, prompt: &str, response: &str) -> Vec<BrokenRule> {
        let parts =
            [(TextPart::Prompt, &self.prompt, prompt), (TextPart::Response, &self.response, response)];
        let measured = parts.into_iter().flat_map(|(part, rules, text)| {
            rules.iter().map(move |(&rule, &limit)| BrokenRule {
                part,
                rule,
                value: rule.measure(text, &self.languages),
                limit,
            })
        });
        measured.filter(|found| found.rule.is_broken(found.value, found.limit)).collect()
    }
}

impl TextPart {
    /// Its name, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Response => "response",
        }
    }
}

impl std::fmt::Display for BrokenRule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.rule.has_lower_limit() { "under" } else { "over" };
        // Three digits, and none where they would be 0.
        let value = (self.value * 1000.0).round() / 1000.0;
        write!(formatter, "{}: {} {value}, {side} {}", self.part.as_str(), self.rule.as_str(), self.limit)
    }
}
