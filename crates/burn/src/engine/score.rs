//! Scoring: each request's prompt is read once, then all its continuations in one pass.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use lancer_backend::{BackendError, ScoreRequest, ScoredContinuation, TokenId, Tokenizer, Usage};

use super::reader::Reader;
use crate::reading::Reading;

/// Scores every continuation of every request, in their order.
pub(crate) fn score(
    reading: Reading<'_>,
    reader: &mut Reader,
    requests: &[ScoreRequest],
    sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
) -> Result<Usage, BackendError> {
    let config = reading.model.config();
    let mut read = Vec::with_capacity(requests.len());
    for (request, asked) in requests.iter().enumerate() {
        asked.validate(request, config.vocab_size)?;
        let (prompt, continuations) = reading.scored(&asked.prompt, &asked.continuations)?;
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let (tokens, context_length) = (prompt.len() + longest, config.context_length);
        if tokens > context_length {
            return Err(BackendError::TooLong { request, tokens, context_length });
        }
        read.push((prompt, continuations));
    }
    reader.take_usage();
    for (request, (prompt, continuations)) in read.into_iter().enumerate() {
        let scored = score_all(reader, &prompt, continuations);
        if sink(request, scored).is_break() {
            return Err(BackendError::Cancelled);
        }
    }
    Ok(reader.take_usage())
}

fn score_all(
    reader: &mut Reader,
    prompt: &[TokenId],
    continuations: Vec<Vec<TokenId>>,
) -> Vec<ScoredContinuation> {
    let targets: Vec<TokenId> = continuations.concat();
    if targets.is_empty() {
        let nothing = |tokens| ScoredContinuation { tokens, log_probs: Vec::new(), is_greedy: true };
        return continuations.into_iter().map(nothing).collect();
    }
    let after_prompt = reader.prompt(prompt);
    // A continuation's first token is predicted by the prompt, and its last one is not read.
    let rest: Vec<&[TokenId]> = continuations
        .iter()
        .filter_map(|tokens| tokens.split_last().map(|(_, rest)| rest))
        .filter(|rest| !rest.is_empty())
        .collect();
    let mut states = (!rest.is_empty()).then(|| {
        let mut caches = vec![after_prompt.cache.clone(); rest.len()];
        reader.tokens(&rest, &mut caches)
    });
    let mut predicting: Vec<Tensor<2>> = Vec::new();
    for tokens in continuations.iter().filter(|tokens| !tokens.is_empty()) {
        predicting.push(after_prompt.state.clone());
        if tokens.len() > 1
            && let Some(left) = states.take()
        {
            let (count, rows) = (tokens.len() - 1, left.dims()[0]);
            predicting.push(left.clone().narrow(0, 0, count));
            states = (rows > count).then(|| left.narrow(0, count, rows - count));
        }
    }
    let scored = reader.transformer().head().score(&Tensor::cat(predicting, 0), &targets);
    let mut scored = scored.into_iter();
    continuations
        .into_iter()
        .map(|tokens| {
            let own: Vec<_> = scored.by_ref().take(tokens.len()).collect();
            ScoredContinuation {
                tokens,
                log_probs: own.iter().map(|token| token.log_prob).collect(),
                is_greedy: own.iter().all(|token| token.is_best),
            }
        })
        .collect()
}
