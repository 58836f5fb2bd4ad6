//! The settings of writing.

use lancer_backend::ModelInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{SettingError, require};

/// A model of so many weights follows an instruction about instructions well enough.
const INSTRUCTABLE: u64 = 3_000_000_000;

/// How a new prompt is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// [`Instructed`](Self::Instructed) for models of 3 billion weights and more, or else
    /// [`Examples`](Self::Examples).
    #[default]
    Auto,
    /// The model goes on with a list of example prompts, the source's last, after the first word of the next one. Needs
    /// no understanding of an instruction about instructions.
    Examples,
    /// The paper's way: the source's prompt and the instruction to write another in its spirit.
    Instructed,
}

/// How a response is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStyle {
    /// [`Plain`](Self::Plain) for models of 3 billion weights and more, or else [`Short`](Self::Short).
    #[default]
    Auto,
    /// The prompt and nothing else.
    Plain,
    /// The prompt and the request to answer in a few short sentences, which does not become part of the data. A small
    /// model talks until it is cut off, and what it says later is worse than what it says first.
    Short,
}

/// How a worse response comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorseStyle {
    /// [`Instructed`](Self::Instructed) for models of 3 billion weights and more, or else
    /// [`PartPrompt`](Self::PartPrompt).
    #[default]
    Auto,
    /// The paper's way: the model is told to write a worse response to the prompt.
    Instructed,
    /// The model's response at [`worse_temperature`](GenerateSettings::worse_temperature).
    Hot,
    /// The model's response to half of the prompt, the first half and the second in turn: fluent, and beside the point.
    PartPrompt,
    /// The model's plain response: worse than the source's where that was written by a person or a larger model.
    Sampled,
}

/// What decides what is written, besides the model, the sources and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateSettings {
    /// Sharpens the model's probabilities; above 0, at most 5.
    pub temperature: f32,
    /// Nucleus sampling keeps this share of the probability; above 0, at most 1.
    pub top_p: f32,
    /// Only so many of the most probable tokens are drawn from; at most 1,000,000, 0 for all.
    pub top_k: u32,
    /// Only tokens at least this share as probable as the most probable one are drawn from; 0 to 1, 0 for all.
    pub min_p: f32,
    /// Logits of tokens in the prompt or the text so far are divided by this, or multiplied where they are negative; above 0, at
    /// most 10, 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens in the text so far; -2 to 2, 0 changes nothing.
    pub presence_penalty: f32,
    /// Subtracted from a token's logit for each time that it is in the text so far; -2 to 2, 0 changes nothing.
    pub frequency_penalty: f32,
    /// The longest new prompt, in tokens; 1 to 1,000,000. A longer one is cut off and unusable.
    pub max_prompt_tokens: usize,
    /// The longest response, in tokens; 1 to 1,000,000. A longer one is cut off and unusable.
    pub max_response_tokens: usize,
    /// How a new prompt is asked for.
    pub prompt_style: PromptStyle,
    /// Number of example prompts besides the source's, at most 16; fewer where there are not so many.
    pub examples: usize,
    /// The longest example, in characters; 1 to 1,000,000. Longer prompts are not taken as examples, and of a longer source
    /// only so much is shown among them.
    pub max_example_chars: usize,
    /// How a response is asked for. Worse responses are asked for in the same way, save instructed ones.
    pub response_style: ResponseStyle,
    /// How a worse response comes about.
    pub worse_style: WorseStyle,
    /// The temperature of [`WorseStyle::Hot`]; above 0, at most 5.
    pub worse_temperature: f32,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            max_prompt_tokens: 64,
            max_response_tokens: 256,
            prompt_style: PromptStyle::default(),
            examples: 5,
            max_example_chars: 160,
            response_style: ResponseStyle::default(),
            worse_style: WorseStyle::default(),
            worse_temperature: 1.4,
        }
    }
}

impl GenerateSettings {
    /// The settings with `Auto` resolved for a model.
    #[must_use]
    pub fn for_model(mut self, model: &ModelInfo) -> Self {
        let instructable = model.parameters >= INSTRUCTABLE;
        if self.prompt_style == PromptStyle::Auto {
            self.prompt_style = if instructable { PromptStyle::Instructed } else { PromptStyle::Examples };
        }
        if self.response_style == ResponseStyle::Auto {
            self.response_style = if instructable { ResponseStyle::Plain } else { ResponseStyle::Short };
        }
        if self.worse_style == WorseStyle::Auto {
            self.worse_style = if instructable { WorseStyle::Instructed } else { WorseStyle::PartPrompt };
        }
        self
    }

    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let length = |field, length: usize| {
            require((1..=1_000_000).contains(&length), field, length, "from 1 to 1000000")
        };
        let heat = |temperature: f32| temperature > 0.0 && temperature <= 5.0;
        require(heat(self.temperature), "temperature", self.temperature, "above 0 and at most 5")?;
        require(self.top_p > 0.0 && self.top_p <= 1.0, "top_p", self.top_p, "above 0 and at most 1")?;
        require(self.top_k <= 1_000_000, "top_k", self.top_k, "at most 1000000")?;
        require((0.0..=1.0).contains(&self.min_p), "min_p", self.min_p, "from 0 to 1")?;
        let repetition = self.repetition_penalty;
        require(
            repetition > 0.0 && repetition <= 10.0,
            "repetition_penalty",
            repetition,
            "above 0 and at most 10",
        )?;
        for (field, penalty) in
            [("presence_penalty", self.presence_penalty), ("frequency_penalty", self.frequency_penalty)]
        {
            require((-2.0..=2.0).contains(&penalty), field, penalty, "from -2 to 2")?;
        }
        length("max_prompt_tokens", self.max_prompt_tokens)?;
        length("max_response_tokens", self.max_response_tokens)?;
        require(self.examples <= 16, "examples", self.examples, "at most 16")?;
        length("max_example_chars", self.max_example_chars)?;
        require(
            heat(self.worse_temperature),
            "worse_temperature",
            self.worse_temperature,
            "above 0 and at most 5",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::GenerateSettings;

    #[test]
    fn the_defaults_are_valid_and_read_from_nothing() {
        let settings: GenerateSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, GenerateSettings::default());
        settings.validate().unwrap();
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        for text in [
            r#"{"temperature": 0.0}"#,
            r#"{"top_p": 1.5}"#,
            r#"{"top_k": 1000001}"#,
            r#"{"min_p": 1.5}"#,
            r#"{"repetition_penalty": 0.0}"#,
            r#"{"presence_penalty": 3.0}"#,
            r#"{"frequency_penalty": -3.0}"#,
            r#"{"max_prompt_tokens": 0}"#,
            r#"{"max_response_tokens": 0}"#,
            r#"{"examples": 17}"#,
            r#"{"max_example_chars": 0}"#,
            r#"{"worse_temperature": 9.0}"#,
        ] {
            let error = serde_json::from_str::<GenerateSettings>(text).unwrap().validate().unwrap_err();
            assert!(text.contains(error.field), "{text}: {error}");
        }
        let unknown = serde_json::from_str::<GenerateSettings>(r#"{"style": "hot"}"#).unwrap_err();
        assert!(unknown.to_string().contains("`style`"), "{unknown}");
    }
}
