//! Exact match: the answer found in generated text is one of the record's answers.

use std::sync::Arc;

use lancer_backend::{Completion, GenerateRequest, Prompt, Sampling, Seed, answer_of};
use serde::Deserialize;

use crate::{
    EvalError, Extraction, ItemDetail, Normalisation,
    record::Record,
    written_answer::{WrittenAnswer, greedy},
};

/// The `[exact_match]` section of a task file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactMatch {
    /// The field with the answer, or with a list of answers that all count as correct.
    pub answer: String,
    /// Where the answer is in that field.
    #[serde(default)]
    pub answer_extract: Extraction,
    /// Where the answer is in what the model writes.
    #[serde(default)]
    pub extract: Extraction,
    /// Differences between the two that do not count, removed from both in this order.
    #[serde(default = "white_space")]
    pub normalise: Vec<Normalisation>,
    /// The largest number of tokens that the model may write, 1 to 65536.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// The answer ends where one of these appears.
    #[serde(default)]
    pub stop: Vec<String>,
    /// How the answer is sampled; greedy by default.
    #[serde(default = "greedy")]
    pub sampling: Sampling,
}

fn white_space() -> Vec<Normalisation> {
    vec![Normalisation::WhiteSpace]
}

fn max_tokens() -> usize {
    256
}

/// The question of an item.
#[derive(Debug, Clone)]
pub(crate) struct ExactItem {
    settings: Arc<ExactMatch>,
    accepted: Vec<String>,
}

impl ExactMatch {
    /// Checks the ranges; the error is the setting and the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        self.written_answer().validate(["exact_match.max_tokens", "exact_match.stop", "exact_match.sampling"])
    }

    fn written_answer(&self) -> WrittenAnswer<'_> {
        WrittenAnswer { max_tokens: self.max_tokens, stop: &self.stop, sampling: self.sampling }
    }

    /// What a few-shot example answers: the field's first text, as it stands.
    pub(crate) fn example_answer(&self, record: &Record) -> Result<String, EvalError> {
        Ok(record.texts(&self.answer)?.swap_remove(0))
    }

    pub(crate) fn item(settings: &Arc<Self>, record: &Record) -> Result<ExactItem, EvalError> {
        let texts = record.texts(&settings.answer)?;
        let mut accepted = Vec::new();
        for text in texts {
            let found = settings.answer_extract.find(&text).ok_or_else(|| {
                record.error(&settings.answer, "`answer_extract` of the task file finds no answer in it")
            })?;
            let answer = settings.normal(found);
            if answer.is_empty() {
                return Err(record.error(&settings.answer, "nothing is left of the answer after `normalise`"));
            }
            accepted.push(answer);
        }
        Ok(ExactItem { settings: Arc::clone(settings), accepted })
    }

    fn normal(&self, text: &str) -> String {
        self.normalise.iter().fold(text.to_string(), |text, normalisation| normalisation.apply(&text))
    }
}

impl ExactItem {
    pub(crate) fn request(&self, prompt: Prompt, seed: Seed) -> GenerateRequest {
        self.settings.written_answer().request(prompt, seed)
    }

    /// The item's value and what it comes from.
    pub(crate) fn judge(&self, completion: Completion) -> (f64, ItemDetail) {
        let answer =
            self.settings.extract.find(answer_of(&completion.text)).map(|found| self.settings.normal(found));
        let is_correct = answer.as_ref().is_some_and(|answer| self.accepted.contains(answer));
        let detail = ItemDetail::ExactMatch {
            text: completion.text,
            answer,
            accepted: self.accepted.clone(),
            tokens: completion.tokens.len(),
            finish: completion.finish,
        };
        (f64::from(u8::from(is_correct)), detail)
    }
}
