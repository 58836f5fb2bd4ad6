//! The result of one item.

use lancer_backend::Finish;
use serde::{Deserialize, Serialize};

/// What the values of a task's items mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// 1 for a correct answer, 0 for a wrong one; or the share of an item's instructions that are followed. Higher is
    /// better.
    Accuracy,
    /// The share of the probability of all choices that the correct ones have together, 0 to 1 (TruthfulQA's MC2, Lin
    /// et al. 2021, arXiv 2109.07958). Higher is better.
    CorrectProbability,
    /// The negative log-likelihood of a reference response, in nats a token. Lower is better; its exponential is the
    /// perplexity.
    Nll,
}

impl Metric {
    /// Whether a larger mean is a better model.
    pub fn higher_is_better(self) -> bool {
        self != Self::Nll
    }

    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::CorrectProbability => "correct probability",
            Self::Nll => "NLL",
        }
    }
}

/// How a model did on one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemResult {
    /// The item, from 0, below [`Task::len`](crate::Task::len).
    pub item: usize,
    /// The item's value by the task's [`Metric`].
    pub value: f64,
    /// The item's weight in the mean: the number of tokens for [`Metric::Nll`], of instructions
    /// where their share is the value, else 1.
    pub weight: f64,
    /// What was computed.
    pub detail: ItemDetail,
}

impl ItemResult {
    /// Value and weight, as [`estimate`](crate::estimate) and [`compare`](crate::compare) take them.
    pub fn weighted(&self) -> (f64, f64) {
        (self.value, self.weight)
    }
}

/// What was computed for an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ItemDetail {
    /// A multiple-choice question.
    MultipleChoice {
        /// The choice with the largest score, the first among equals.
        chosen: usize,
        /// The choices that are correct.
        correct: Vec<usize>,
        /// Every choice, in the order of the record.
        choices: Vec<ChoiceScore>,
    },
    /// A generated answer.
    ExactMatch {
        /// What the model wrote.
        text: String,
        /// The answer found in it; `None` if there is none.
        answer: Option<String>,
        /// The answers that count as correct.
        accepted: Vec<String>,
        /// Tokens generated.
        tokens: usize,
        /// Why the text ended.
        finish: Finish,
    },
    /// A response to a prompt with instructions that can be verified.
    InstructionFollowing {
        /// What the model wrote.
        text: String,
        /// Every instruction, in the order of the record.
        instructions: Vec<InstructionResult>,
        /// Tokens generated.
        tokens: usize,
        /// Why the text ended.
        finish: Finish,
    },
    /// A reference response.
    ResponseNll {
        /// The log-probability of the whole response, in nats.
        log_prob: f64,
        /// Its tokens, the end of the turn included where it was scored.
        tokens: usize,
        /// Its bytes in UTF-8, for figures that do not depend on the tokenizer.
        bytes: usize,
    },
}

/// Whether a response follows one instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructionResult {
    /// The instruction, such as `punctuation:no_comma`.
    pub instruction: String,
    /// As it stands.
    pub strict: bool,
    /// In one of eight forms, such as without its first line.
    pub loose: bool,
}

/// The likelihood of one choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChoiceScore {
    /// The choice.
    pub text: String,
    /// The log-probability of the whole choice, in nats.
    pub log_prob: f64,
    /// Its tokens.
    pub tokens: usize,
    /// Whether greedy decoding would have written it.
    pub is_greedy: bool,
}
