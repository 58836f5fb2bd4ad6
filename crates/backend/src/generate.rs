//! Requests for text and what comes back.

use std::{num::NonZeroU32, ops::ControlFlow};

use serde::{Deserialize, Serialize};

use crate::{BackendError, Constraint, Penalties, Prompt, Seed, TokenId};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampling {
    /// Always the most probable token; the lowest id among equals.
    Greedy,
    /// A token at random, by the model's probabilities after some are cut off.
    #[serde(alias = "nucleus")]
    Random(RandomSampling),
}

impl Sampling {
    /// Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751): the probabilities are sharpened by `temperature`, then cut to
    /// the smallest set of tokens that holds at least `top_p` of them.
    pub const fn nucleus(temperature: f32, top_p: f32) -> Self {
        Self::Random(RandomSampling { temperature, top_p, top_k: None, min_p: 0.0 })
    }
}

/// Which tokens are drawn from, in the order in which the fields cut, which is transformers' order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomSampling {
    /// Logits are divided by it. Above 0; 1 leaves the model's own probabilities.
    pub temperature: f32,
    /// Only so many of the most probable tokens are kept, if set.
    pub top_k: Option<NonZeroU32>,
    /// Only the smallest set of the most probable tokens that holds this share of the probability is kept. Above 0, at most 1;
    /// 1 cuts nothing.
    pub top_p: f32,
    /// Only tokens that are at least this share as probable as the most probable one are kept (Nguyen et al. 2024, arXiv
    /// 2407.01082). From 0, which cuts nothing, to 1.
    pub min_p: f32,
}

impl Default for RandomSampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: 1.0, min_p: 0.0 }
    }
}

/// One prompt, and how many samples of its continuation to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// One sample is drawn for each seed. The prompt is computed once for all of them.
    pub seeds: Vec<Seed>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// How logits are changed before that.
    pub penalties: Penalties,
    /// A sample ends after this many tokens at the latest.
    pub max_tokens: usize,
    /// A sample ends where one of these first appears in its text; the stop string is cut off.
    pub stop: Vec<String>,
    /// What the text must be.
    pub constraint: Constraint,
}

impl GenerateRequest {
    /// One greedy sample of at most 512 tokens.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            seeds: vec![Seed(0)],
            sampling: Sampling::Greedy,
            penalties: Penalties::default(),
            max_tokens: 512,
            stop: Vec::new(),
            constraint: Constraint::Free,
        }
    }

    /// Sets how tokens are chosen.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets how logits are changed before a token is chosen.
    #[must_use]
    pub fn penalties(mut self, penalties: Penalties) -> Self {
        self.penalties = penalties;
        self
    }

    /// Asks for `count` samples; sample `n` gets the seed `seed.derive("n")`.
    #[must_use]
    pub fn samples(mut self, seed: Seed, count: usize) -> Self {
        self.seeds = (0..count).map(|sample| seed.derive(&sample.to_string())).collect();
        self
    }

    /// Sets the largest number of tokens.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// Adds a stop string.
    #[must_use]
    pub fn stop(mut self, stop: impl Into<String>) -> Self {
        self.stop.push(stop.into());
        self
    }

    /// Sets what the text must be.
    #[must_use]
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.constraint = constraint;
        self
    }

    /// Checks what can be checked without reading the prompt: a prompt that is not empty, sampling settings in their ranges, a
    /// limit above 0, choices that are not empty, tokens within a vocabulary of that size. `index` is the request's
    /// place in its call.
    pub fn validate(&self, index: usize, vocabulary: usize) -> Result<(), BackendError> {
        let invalid =
            |reason: &str| Err(BackendError::InvalidRequest { request: index, reason: reason.into() });
        if self.prompt.is_empty() {
            return invalid("the prompt is empty; give at least one message, character or token");
        }
        if let Some(token) = self.prompt.token_outside(vocabulary) {
            return invalid(&format!("token {} is outside the vocabulary of {vocabulary}", token.0));
        }
        if let Sampling::Random(RandomSampling { temperature, top_p, min_p, .. }) = self.sampling {
            if !(temperature > 0.0 && temperature.is_finite()) {
                return invalid("the temperature must be above 0; use greedy sampling for 0");
            }
            if !(top_p > 0.0 && top_p <= 1.0) {
                return invalid("top_p must be above 0 and at most 1");
            }
            if !(0.0..=1.0).contains(&min_p) {
                return invalid("min_p must be from 0 to 1");
            }
        }
        if let Some(reason) = self.penalties.out_of_range(vocabulary) {
            return invalid(&reason);
        }
        if self.max_tokens == 0 {
            return invalid("max_tokens must be at least 1");
        }
        if let Constraint::Choices(choices) = &self.constraint
            && (choices.is_empty() || choices.iter().any(String::is_empty))
        {
            return invalid("a constraint needs at least one choice, and none may be empty");
        }
        Ok(())
    }
}

/// Why a sample ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn or its text.
    EndOfTurn,
    /// A stop string appeared, or the constraint was fulfilled.
    Stop,
    /// The limit of the request was reached.
    MaxTokens,
    /// The model's context was full.
    ContextFull,
}

/// One finished sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Index of its request in the call.
    pub request: usize,
    /// Index of its seed in the request.
    pub sample: usize,
    /// The text, without the stop string and without special tokens.
    pub text: String,
    /// The generated tokens, the end-of-turn token left out. Where a stop string cut the text, the tokens up to the
    /// one that completed it.
    pub tokens: Vec<TokenId>,
    /// The natural logarithm of each token's probability under the model (before temperature, nucleus and
    /// constraint), one for each of `tokens`.
    pub log_probs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// Receives samples as they end.
pub trait CompletionSink {
    /// A sample has ended. `Break` cancels what is still running; the call then returns
    /// [`BackendError::Cancelled`](crate::BackendError::Cancelled).
    fn completed(&mut self, completion: Completion) -> ControlFlow<()>;

    /// `tokens` more tokens, of prompts or of samples, were computed. Called after every step of the engine, so that
    /// a call can be cancelled between samples too.
    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        let _ = tokens;
        ControlFlow::Continue(())
    }
}

/// A sink that keeps every completion, in the order in which they end.
#[derive(Debug, Default)]
pub struct Collect(pub Vec<Completion>);

impl CompletionSink for Collect {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        self.0.push(completion);
        ControlFlow::Continue(())
    }
}
