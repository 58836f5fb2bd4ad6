//! What a server can do, as it was found out at start.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one server can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Capabilities {
    /// The program.
    pub software: Software,
    /// Its version, as it says; empty where it does not say.
    pub version: String,
    /// The model's name at the server.
    pub model: String,
    /// The longest sequence, where the server says.
    pub context_length: Option<usize>,
    /// Number of weights, where the server says.
    pub parameters: Option<u64>,
    /// In which form it takes prompts.
    pub prompts: PromptForm,
    /// Whether it gives the ids of the tokens that it wrote.
    pub token_ids: bool,
    /// Whether it writes several samples for one request.
    pub several: bool,
    /// Whether a seed decides a sample.
    pub seeds: Seeds,
    /// Whether it ends a text at a stop string. Where it does not, lancer cuts the text.
    pub stops: bool,
    /// Log-probabilities of what it writes.
    pub log_probs: GeneratedLogProbs,
    /// Log-probabilities of given text.
    pub scoring: Option<Scoring>,
    /// How a text is held to a regular expression.
    pub regex: Option<RegexField>,
    /// How a text is held to a JSON schema.
    pub json_schema: Option<SchemaField>,
    /// Whether a text that is held to a schema may have white space between its parts, as much as the model likes.
    pub white_space_in_json: bool,
    /// How a text is held to one of some choices.
    pub choices: Option<ChoicesField>,
    /// How it is given an adapter.
    pub adapters: Option<AdapterInterface>,
    /// Whether it reads new weights from a folder while it runs.
    pub new_weights: bool,
    /// Whether it samples with settings of its own (the model's `generation_config.json`) where a request has none.
    pub own_sampling: bool,
}

/// A server's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Software {
    /// vLLM.
    Vllm,
    /// `SGLang`.
    Sglang,
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// The server of the Python package `llama-cpp-python`.
    LlamaCppPython,
    /// Another; it is sent OpenAI's own fields only.
    Other,
}

/// In which form a server takes prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptForm {
    /// As token ids: rendered and tokenised here.
    Tokens,
    /// As text, rendered here and tokenised by the server.
    Text,
    /// As a chat, which the server renders.
    Chat,
}

/// What becomes of seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seeds {
    /// The same seed gave the same sample, another one another.
    Obeyed,
    /// They change nothing, or not reliably.
    Ignored,
}

/// Log-probabilities of what a server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedLogProbs {
    /// The model's own.
    Raw,
    /// Those among the tokens that sampling left: temperature and top-p have changed them.
    Renormalised,
    /// None, or without the tokens that they belong to.
    None,
}

/// How a server gives log-probabilities of given text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// vLLM's `prompt_logprobs`.
    PromptLogprobs,
    /// `echo`, with the log-probabilities of what is repeated.
    Echo,
}

/// The field in which a server takes a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegexField {
    /// vLLM's `structured_outputs`.
    StructuredOutputs,
    /// `SGLang`'s `regex`.
    Regex,
}

/// The field in which a server takes a JSON schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaField {
    /// vLLM's `structured_outputs`.
    StructuredOutputs,
    /// `SGLang`'s `json_schema`, the schema as text.
    JsonSchemaText,
    /// llama.cpp's `json_schema`, the schema as an object.
    JsonSchema,
    /// OpenAI's `response_format`.
    ResponseFormat,
}

/// The field in which a server takes choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoicesField {
    /// vLLM's `structured_outputs`.
    StructuredOutputs,
    /// As a regular expression, in `SGLang`'s `regex`.
    Regex,
    /// As a grammar, in llama.cpp's `grammar`.
    Grammar,
}

/// How a server is given an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterInterface {
    /// vLLM's `/v1/load_lora_adapter`; the adapter is a model of its own name.
    Vllm,
    /// `SGLang`'s `/load_lora_adapter`; a request names it after the model, `MODEL:ADAPTER`.
    Sglang,
}

/// What some work needs of a server beyond writing text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Log-probabilities of given text: reviews by likelihood and by expected score, tasks of multiple choice.
    Scores,
    /// The same seeds give the same samples.
    Seeds,
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::LlamaCpp => "llama.cpp's server",
            Self::LlamaCppPython => "llama-cpp-python's server",
            Self::Other => "another server",
        })
    }
}

impl Capabilities {
    /// The program and its version.
    pub fn program(&self) -> String {
        format!("{} {}", self.software, self.version).trim_end().to_owned()
    }

    /// Each ability by its name and in words, for people.
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        let yes = |is: bool, yes: &str, no: &str| (if is { yes } else { no }).to_owned();
        let fields = [
            ("choices", self.choices.is_some()),
            ("regular expressions", self.regex.is_some()),
            ("JSON schemas", self.json_schema.is_some()),
        ];
        let held: Vec<&str> = fields.iter().filter(|(_, can)| *can).map(|(name, _)| *name).collect();
        let prompts = match self.prompts {
            PromptForm::Tokens => "token ids, rendered by the model's template here",
            PromptForm::Text => "text, rendered by the model's template here and tokenised by the server",
            PromptForm::Chat => "chats, rendered by the server: text and its tokens are the server's",
        };
        let log_probs = match self.log_probs {
            GeneratedLogProbs::Raw => "the model's own",
            GeneratedLogProbs::Renormalised => "renormalised after temperature and top-p, and so not used",
            GeneratedLogProbs::None => "none",
        };
        let scoring = match self.scoring {
            Some(Scoring::PromptLogprobs) => "yes (prompt_logprobs)",
            Some(Scoring::Echo) => "yes (echo)",
            None => {
                "no: reviews by likelihood or expected score and multiple choice need --score-with ENGINE"
            }
        };
        let weights = match (self.adapters.is_some(), self.new_weights) {
            (true, true) => "adapters and whole models, while it runs",
            (true, false) => "adapters, while it runs",
            (false, true) => "whole models, while it runs",
            (false, false) => "by a restart",
        };
        let mut rows = vec![
            ("prompts", prompts.to_owned()),
            (
                "tokens of what it writes",
                yes(self.token_ids, "given", "not given: its text is tokenised here"),
            ),
            ("several samples a request", yes(self.several, "yes", "no")),
            (
                "seeds",
                yes(
                    self.seeds == Seeds::Obeyed,
                    "obeyed",
                    "IGNORED: a sample that is drawn again is another",
                ),
            ),
            ("stop strings", yes(self.stops, "obeyed", "not obeyed: texts are cut here")),
            ("log-probabilities of what it writes", log_probs.to_owned()),
            ("log-probabilities of given text", scoring.to_owned()),
            ("texts held to", if held.is_empty() { "nothing".to_owned() } else { held.join(", ") }),
            ("a new model", weights.to_owned()),
        ];
        if self.white_space_in_json && self.software == Software::Vllm {
            rows.push((
                "note",
                "texts held to a JSON schema may have white space without end: start it with --structured-outputs-config '{\"backend\": \"xgrammar\", \"disable_any_whitespace\": true}'".to_owned(),
            ));
        }
        if self.own_sampling {
            let advice = match self.software {
                Software::Vllm => {
                    "it samples by the model's generation_config.json where a request leaves something open; lancer leaves nothing open, but start it with --generation-config vllm"
                }
                _ => "it has sampling settings of its own where a request leaves something open",
            };
            rows.push(("note", advice.to_owned()));
        }
        rows
    }

    /// What two servers can do alike: work that either of them may get.
    pub(crate) fn lacks(&self, need: Need) -> Option<String> {
        match need {
            Need::Scores if self.scoring.is_none() => Some(format!(
                "{} gives no log-probabilities of given text, which reviews by likelihood or expected score and tasks of multiple choice need; score on a local engine with --score-with ENGINE, or review with --review rubric and leave those tasks out",
                self.program()
            )),
            Need::Seeds if self.seeds == Seeds::Ignored => Some(format!(
                "{} ignores seeds, so that a run that was stopped does not draw the samples of one that was not",
                self.program()
            )),
            _ => None,
        }
    }
}
