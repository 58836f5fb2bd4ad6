//! Requests for log-probabilities of given text.

use crate::{BackendError, Prompt, TokenId};

/// Whether the end-of-turn token is scored after a continuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Only the text.
    Open,
    /// The text and the token that ends the model's turn; its log-probability is the last.
    EndOfTurn,
}

/// A text whose tokens are scored after a prompt.
///
/// After a [`Prompt::Chat`] or [`Prompt::Tokens`] the text is tokenised by itself. After a [`Prompt::Text`], prompt and
/// continuation are tokenised as one text and split after as many tokens as the prompt has alone, the rule of
/// lm-evaluation-harness, so that figures agree with it; white space at the prompt's end belongs to the continuation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Continuation {
    /// The text.
    pub text: String,
    /// Whether the end of the turn is scored too.
    pub ending: Ending,
}

impl Continuation {
    /// Text alone.
    pub fn open(text: impl Into<String>) -> Self {
        Self { text: text.into(), ending: Ending::Open }
    }

    /// Text and the end of the turn.
    pub fn closed(text: impl Into<String>) -> Self {
        Self { text: text.into(), ending: Ending::EndOfTurn }
    }
}

/// A prompt and the continuations to score after it. The prompt is computed once for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// What comes before.
    pub prompt: Prompt,
    /// What is scored.
    pub continuations: Vec<Continuation>,
}

impl ScoreRequest {
    /// Checks what can be checked without reading the prompt: that it is not empty and its tokens are within a
    /// vocabulary of that size. `index` is the request's place in its call.
    pub fn validate(&self, index: usize, vocabulary: usize) -> Result<(), BackendError> {
        let invalid = |reason| Err(BackendError::InvalidRequest { request: index, reason });
        if self.prompt.is_empty() {
            return invalid("the prompt is empty; give at least one message, character or token".into());
        }
        match self.prompt.token_outside(vocabulary) {
            Some(token) => invalid(format!("token {} is outside the vocabulary of {vocabulary}", token.0)),
            None => Ok(()),
        }
    }
}

/// The log-probabilities of one continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredContinuation {
    /// The continuation's tokens, the end-of-turn token last where it was asked for.
    pub tokens: Vec<TokenId>,
    /// The natural logarithm of each token's probability after all that precedes it.
    pub log_probs: Vec<f32>,
    /// Whether each token was the most probable one, that is, whether greedy decoding would have written this.
    pub is_greedy: bool,
}

impl ScoredContinuation {
    /// The log-probability of the whole continuation, the sum over its tokens.
    pub fn sum(&self) -> f64 {
        self.log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum()
    }

    /// The mean log-probability of a token; `None` without tokens.
    pub fn mean(&self) -> Option<f64> {
        (!self.log_probs.is_empty()).then(|| self.sum() / self.log_probs.len() as f64)
    }
}
