//! Held-out negative log-likelihood of reference responses.

use lancer_backend::{Continuation, Ending, ScoredContinuation, answer_of};
use serde::Deserialize;

use crate::{EvalError, ItemDetail, PromptFormat, PromptSettings, record::Record};

/// The `[response_nll]` section of a task file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseNll {
    /// The field with the response.
    pub response: String,
    /// Whether the end of the turn is scored after it; by default it is in a chat and not after plain text.
    #[serde(default)]
    pub ending: Option<ResponseEnding>,
}

/// What is scored after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseEnding {
    /// Nothing.
    Open,
    /// The token that ends the model's turn.
    EndOfTurn,
}

/// The response of an item.
#[derive(Debug, Clone)]
pub(crate) struct ResponseItem {
    text: String,
    ending: Ending,
}

impl ResponseNll {
    pub(crate) fn item(&self, record: &Record, format: PromptFormat) -> Result<ResponseItem, EvalError> {
        let ending = match (self.ending, format) {
            (Some(ResponseEnding::Open), _) | (None, PromptFormat::Text) => Ending::Open,
            (Some(ResponseEnding::EndOfTurn), _) | (None, PromptFormat::Chat) => Ending::EndOfTurn,
        };
        Ok(ResponseItem { text: answer_of(&record.text(&self.response)?).to_owned(), ending })
    }
}

impl ResponseItem {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn continuation(&self, prompt: &PromptSettings) -> Continuation {
        prompt.continuation(&self.text, self.ending)
    }

    /// The item's value, its weight and what it comes from. `scored` has at least one token.
    pub(crate) fn judge(&self, scored: &ScoredContinuation) -> (f64, f64, ItemDetail) {
        let tokens = scored.tokens.len();
        let log_prob = scored.sum();
        let detail = ItemDetail::ResponseNll { log_prob, tokens, bytes: self.text.len() };
        (-log_prob / tokens.max(1) as f64, tokens as f64, detail)
    }
}
