//! Four log-probabilities of each pair, sharing what is common: responses to one prompt stand after one reading of it,
//! and all of a group's responses after one reading of what stands for no prompt.

use std::ops::ControlFlow;

use lancer_backend::{Backend, BackendError, Prompt, ScoreRequest, ScoredContinuation, Usage};

use super::{
    features::{Features, Scored},
    framing, go_on,
};
use crate::{
    Mode, ReviewError,
    reviewable::{self, Reviewable},
};

/// What happens during a measurement.
pub(crate) enum Event {
    /// So many tokens were scored.
    Advanced(usize),
    /// The model cannot read the item of this index, in the words of the reason.
    Unreadable(usize, String),
    /// The item of this index was measured.
    Measured(usize, Features),
}

/// Pairs that are scored in one call: enough to keep an engine's batches full, few enough that little is lost when a run
/// ends between two calls.
const GROUP: usize = 16;

/// Measures each item. `sink` can end the call.
pub(crate) fn measure(
    backend: &mut dyn Backend,
    items: &[Reviewable<'_>],
    sink: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Usage, ReviewError> {
    let mut fitting = Vec::new();
    for item in items {
        match unreadable(&*backend, item)? {
            Some(reason) => go_on(sink(Event::Unreadable(item.index, reason)))?,
            None => fitting.push(*item),
        }
    }
    // Stable: responses to one prompt come together, prompts in the order in which they first appear.
    let mut first = std::collections::HashMap::new();
    for item in &fitting {
        first.entry(&item.item.chat).or_insert(item.index);
    }
    fitting.sort_by_key(|item| first.get(&item.item.chat).copied());

    let mut usage = Usage::default();
    for group in fitting.chunks(GROUP) {
        usage += measure_group(backend, group, sink)?;
    }
    Ok(usage)
}

/// Why the model cannot read an item: it does not fit into the context, or the chat template refuses it; `None` where it can.
fn unreadable(backend: &dyn Backend, item: &Reviewable<'_>) -> Result<Option<String>, ReviewError> {
    let context_length = backend.info().context_length;
    match longest(backend, item) {
        Ok(tokens) => Ok((tokens > context_length).then(|| reviewable::too_long(tokens, context_length))),
        Err(BackendError::ChatTemplate(reason)) => {
            Ok(Some(format!("the model's chat template refuses it: {reason}")))
        }
        Err(error) => Err(ReviewError::backend(Mode::Likelihood)(error)),
    }
}

/// The tokens of the longest of an item's four texts.
fn longest(backend: &dyn Backend, item: &Reviewable<'_>) -> Result<usize, BackendError> {
    let length = |prompt: &Prompt, text: &str| -> Result<usize, BackendError> {
        let text = backend.tokenize(&Prompt::text(text))?.len();
        // The end of the turn, and one more where a text is split otherwise after a prompt.
        Ok(backend.tokenize(prompt)?.len() + text + 2)
    };
    let (prompt, response) = (item.item.last_user_turn(), &item.item.response);
    let tokens = [
        length(&framing::prompt(&item.item.chat), &framing::as_response(response).text)?,
        length(&framing::response(response), &framing::as_prompt(prompt).text)?,
        length(&framing::no_prompt(), &framing::as_response(response).text)?,
        length(&framing::no_response(), &framing::as_prompt(prompt).text)?,
    ];
    Ok(tokens.into_iter().max().unwrap_or(0))
}

/// The requests of a group: one a prompt with its responses; one a response with its prompt; the responses alone; the
/// prompts alone.
fn measure_group(
    backend: &mut dyn Backend,
    group: &[Reviewable<'_>],
    sink: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Usage, ReviewError> {
    let by_prompt: Vec<&[Reviewable<'_>]> =
        group.chunk_by(|one, two| one.item.chat == two.item.chat).collect();
    let mut requests = Vec::new();
    for items in &by_prompt {
        let continuations = items.iter().map(|item| framing::as_response(&item.item.response)).collect();
        requests.push(ScoreRequest { prompt: framing::prompt(&items[0].item.chat), continuations });
    }
    for item in group {
        requests.push(ScoreRequest {
            prompt: framing::response(&item.item.response),
            continuations: vec![framing::as_prompt(item.item.last_user_turn())],
        });
    }
    requests.push(ScoreRequest {
        prompt: framing::no_prompt(),
        continuations: group.iter().map(|item| framing::as_response(&item.item.response)).collect(),
    });
    requests.push(ScoreRequest {
        prompt: framing::no_response(),
        continuations: by_prompt
            .iter()
            .map(|items| framing::as_prompt(items[0].item.last_user_turn()))
            .collect(),
    });

    let mut scored: Vec<Vec<ScoredContinuation>> = vec![Vec::new(); requests.len()];
    let usage = backend
        .score(&requests, &mut |request, continuations| {
            let tokens = continuations.iter().map(|continuation| continuation.tokens.len()).sum();
            scored[request] = continuations;
            sink(Event::Advanced(tokens))
        })
        .map_err(ReviewError::backend(Mode::Likelihood))?;

    // The engine has given each request's continuations, all of them.
    let (with_prompt, rest) = scored.split_at(by_prompt.len());
    let (with_response, alone) = rest.split_at(group.len());
    let place =
        by_prompt.iter().enumerate().flat_map(|(prompt, items)| (0..items.len()).map(move |n| (prompt, n)));
    for (n, (item, (prompt, response))) in group.iter().zip(place).enumerate() {
        let features = Features::of(&Scored {
            response_given_prompt: &with_prompt[prompt][response],
            response: &alone[0][n],
            prompt_given_response: &with_response[n][0],
            prompt: &alone[1][prompt],
        });
        go_on(sink(Event::Measured(item.index, features)))?;
    }
    Ok(usage)
}
