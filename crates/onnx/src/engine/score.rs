//! Scoring continuations: each is read after its prompt, from where the sequence differs from the one before.

use std::ops::ControlFlow;

use lancer_backend::{
    BackendError, ScoreRequest, ScoredContinuation, ScoredToken, TokenId, Tokenizer, Usage,
    by_common_beginning, score_token,
};
use rayon::prelude::*;

use super::{OnnxRuntime, vocabulary::Vocabulary};

/// One continuation after its prompt.
struct Item {
    request: usize,
    place: usize,
    prompt: usize,
    /// Prompt and continuation.
    sequence: Vec<TokenId>,
}

/// Scores every continuation of every request.
pub(super) fn score(
    engine: &mut OnnxRuntime,
    requests: &[ScoreRequest],
    sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
) -> Result<Usage, BackendError> {
    let items = prepare(&engine.vocabulary, engine.info.vocabulary, engine.info.context_length, requests)?;
    let mut usage = Usage::default();
    let mut done: Vec<Vec<Option<ScoredContinuation>>> =
        requests.iter().map(|request| vec![None; request.continuations.len()]).collect();
    let mut give = |request: usize, scored: Vec<ScoredContinuation>| {
        if sink(request, scored).is_break() { Err(BackendError::Cancelled) } else { Ok(()) }
    };
    for (request, asked) in requests.iter().enumerate() {
        if asked.continuations.is_empty() {
            give(request, Vec::new())?;
        }
    }
    let mut left: Vec<usize> = requests.iter().map(|request| request.continuations.len()).collect();
    for item in by_common_beginning(items.iter().map(|item| item.sequence.as_slice())) {
        let item = &items[item];
        let request = item.request;
        done[request][item.place] = Some(score_item(engine, item, &mut usage)?);
        left[request] -= 1;
        if left[request] == 0 {
            give(request, std::mem::take(&mut done[request]).into_iter().flatten().collect())?;
        }
    }
    Ok(usage)
}

fn prepare(
    tokenizer: &Vocabulary,
    vocabulary: usize,
    context_length: usize,
    requests: &[ScoreRequest],
) -> Result<Vec<Item>, BackendError> {
    let mut items = Vec::new();
    for (request, asked) in requests.iter().enumerate() {
        asked.validate(request, vocabulary)?;
        let (prompt, continuations) = tokenizer.scored(&asked.prompt, &asked.continuations)?;
        for (place, continuation) in continuations.into_iter().enumerate() {
            let sequence = [prompt.as_slice(), &continuation].concat();
            if sequence.len() > context_length {
                return Err(BackendError::TooLong { request, tokens: sequence.len(), context_length });
            }
            items.push(Item { request, place, prompt: prompt.len(), sequence });
        }
    }
    Ok(items)
}

fn score_item(
    engine: &mut OnnxRuntime,
    item: &Item,
    usage: &mut Usage,
) -> Result<ScoredContinuation, BackendError> {
    let tokens = item.sequence[item.prompt..].to_vec();
    let mut scored: Vec<ScoredToken> = Vec::with_capacity(tokens.len());
    // The last token is predicted, not read.
    if let Some((_, read)) = item.sequence.split_last().filter(|_| !tokens.is_empty()) {
        let step = engine.settings.step_tokens.get() as usize;
        engine.prompt.read(&mut engine.decoder, read, tokens.len(), step, usage, &mut |part| {
            let targets = &item.sequence[part.kept.start + 1..=part.kept.end];
            let part_of: Result<Vec<ScoredToken>, BackendError> = targets
                .par_iter()
                .enumerate()
                .map(|(place, &target)| {
                    Ok(score_token(&part.logits.of(0, targets.len() - 1 - place)?, target))
                })
                .collect();
            scored.extend(part_of?);
            Ok(())
        })?;
    }
    Ok(ScoredContinuation {
        tokens,
        log_probs: scored.iter().map(|token| token.log_prob).collect(),
        is_greedy: scored.iter().all(|token| token.is_greedy),
    })
}
