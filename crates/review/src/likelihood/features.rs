//! What the log-probabilities of a pair say.

use lancer_backend::ScoredContinuation;
use serde::{Deserialize, Serialize};

/// What the log-probabilities of a pair say. Natural logarithms; p is the prompt, r the response.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Pointwise mutual information per token of the response: (log p(r given p) - log p(r)) / tokens of r. What the
    /// prompt tells of the response.
    pub pmi: f64,
    /// The same per token of the prompt: (log p(p given r) - log p(p)) / tokens of p. What the response tells of the
    /// prompt.
    pub reverse_pmi: f64,
    /// Mean log-probability of a token of the response after the prompt; the end of the turn left out.
    pub response_given_prompt: f64,
    /// Log-probability of the end of the turn after prompt and response.
    pub end_of_turn: f64,
    /// Mean log-probability of a token in the second half of the response less that in its first: text that repeats
    /// itself becomes easy to predict.
    pub late_gain: f64,
    /// Logarithm of the number of the response's tokens.
    pub length: f64,
}

/// The log-probability of a token counts as no lower than this, so that no single token decides.
const LOWEST: f64 = -20.0;

/// The four scored texts of a pair.
pub(super) struct Scored<'a> {
    /// The response after its prompt, with the end of the turn.
    pub(super) response_given_prompt: &'a ScoredContinuation,
    /// The response alone, with the end of the turn.
    pub(super) response: &'a ScoredContinuation,
    /// The prompt after the response.
    pub(super) prompt_given_response: &'a ScoredContinuation,
    /// The prompt alone.
    pub(super) prompt: &'a ScoredContinuation,
}

impl Features {
    /// The features of a pair. All finite.
    pub(super) fn of(scored: &Scored<'_>) -> Self {
        let given = log_probs(scored.response_given_prompt);
        let alone = log_probs(scored.response);
        let (text, end) = given.split_at(given.len().saturating_sub(1));
        let text_alone = &alone[..alone.len().saturating_sub(1)];
        let prompt_given = log_probs(scored.prompt_given_response);
        let prompt_alone = log_probs(scored.prompt);
        let (first, second) = text.split_at(text.len() / 2);
        Self {
            pmi: mean(text) - mean(text_alone),
            reverse_pmi: mean(&prompt_given) - mean(&prompt_alone),
            response_given_prompt: mean(text),
            end_of_turn: end.first().copied().unwrap_or(LOWEST),
            late_gain: if first.is_empty() { 0.0 } else { mean(second) - mean(first) },
            length: (text.len().max(1) as f64).ln(),
        }
    }

    /// The numbers a calibration weighs, in the order of [`Features::NAMES`].
    pub(super) fn vector(&self) -> [f64; Self::COUNT] {
        let Self { pmi, reverse_pmi, response_given_prompt, end_of_turn, late_gain, length } = *self;
        [pmi, reverse_pmi, response_given_prompt, end_of_turn, late_gain, length]
    }

    /// Number of features.
    pub const COUNT: usize = 6;

    /// Their names.
    pub const NAMES: [&str; Self::COUNT] =
        ["pmi", "reverse_pmi", "response_given_prompt", "end_of_turn", "late_gain", "length"];
}

fn log_probs(scored: &ScoredContinuation) -> Vec<f64> {
    scored.log_probs.iter().map(|&log_prob| f64::from(log_prob).max(LOWEST)).collect()
}

/// 0 for nothing.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
