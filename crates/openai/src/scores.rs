//! Log-probabilities of given text, from servers that give them.

use std::{cell::RefCell, collections::BTreeMap, ops::ControlFlow, sync::Arc};

use lancer_backend::{
    BackendError, ScoreRequest, ScoredContinuation, TokenId, Tokenizer, Usage, by_common_beginning,
};
use serde_json::Value;

use crate::{
    Capabilities, Need, Scoring, Tokens, body,
    error::{ServerError, engine_error, failed},
    http::Answer,
    load::{Exchange, Servers, dispatch},
    vocabulary::Vocabulary,
    wire::{COMPLETIONS, Choice, Completions},
};

/// One request to a server: a continuation after its prompt.
pub(crate) struct OfScores {
    pub(crate) tokens: Vec<TokenId>,
    /// Tokens of the prompt, which are not scored.
    pub(crate) prompt: usize,
    pub(crate) servers: Arc<Vec<Capabilities>>,
}

/// Log-probabilities and whether each token was the most probable one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    pub(crate) log_probs: Vec<f32>,
    pub(crate) is_greedy: bool,
}

impl Exchange for OfScores {
    type Answer = Scores;

    fn request(&self, server: usize) -> (&'static str, Value) {
        let can = &self.servers[server];
        // A server that cannot score is refused before.
        let form = can.scoring.unwrap_or(Scoring::PromptLogprobs);
        let body = body::of_scores(can, form, self.tokens.clone());
        (COMPLETIONS, serde_json::to_value(&body).unwrap_or_default())
    }

    fn read(&self, server: usize, answer: &Answer) -> Result<Scores, String> {
        let answer: Completions = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let [choice] = answer.choices.as_slice() else {
            return Err(format!("{} completions, where one was asked for", answer.choices.len()));
        };
        let form = self.servers[server].scoring.unwrap_or(Scoring::PromptLogprobs);
        read(choice, form, &self.tokens, self.prompt)
    }

    fn most(&self) -> Tokens {
        Tokens { prompt: self.tokens.len() as u64, generated: 1 }
    }

    fn took(&self, _: &Scores) -> Tokens {
        self.most()
    }
}

/// Reads the log-probabilities of `tokens` from the place `prompt` on.
pub(crate) fn read(
    choice: &Choice,
    form: Scoring,
    tokens: &[TokenId],
    prompt: usize,
) -> Result<Scores, String> {
    let scored = match form {
        Scoring::PromptLogprobs => of_prompt(choice, tokens)?,
        Scoring::Echo => of_echo(choice, tokens)?,
    };
    let mut scores = Scores { log_probs: Vec::new(), is_greedy: true };
    for (place, (log_prob, is_greedy)) in scored.into_iter().enumerate().skip(prompt) {
        let log_prob = log_prob.ok_or_else(|| format!("no log-probability for token {place}"))?;
        if log_prob.is_nan() || log_prob > 1e-3 {
            return Err(format!("{log_prob} as a log-probability"));
        }
        scores.log_probs.push((log_prob as f32).min(0.0));
        scores.is_greedy &= is_greedy;
    }
    Ok(scores)
}

/// A token's log-probability, where it has one, and whether it is the most probable one.
type Scored = (Option<f64>, bool);

/// vLLM's list: for each token of the prompt a table by ids, with the token itself.
fn of_prompt(choice: &Choice, tokens: &[TokenId]) -> Result<Vec<Scored>, String> {
    let list = choice.prompt_logprobs.as_ref().ok_or("no prompt_logprobs")?;
    if list.len() != tokens.len() {
        return Err(format!("prompt_logprobs of {} tokens, where {} were sent", list.len(), tokens.len()));
    }
    let of_token = |(table, token): (&Option<BTreeMap<String, _>>, &TokenId)| {
        let own: Option<&crate::wire::PromptLogProb> =
            table.as_ref().and_then(|table| table.get(&token.0.to_string()));
        if table.is_some() && own.is_none() {
            return Err(format!("no log-probability for the token {}, which was sent", token.0));
        }
        let is_greedy = own.is_some_and(|own| own.rank == Some(1));
        Ok((own.map(|own| own.logprob), is_greedy))
    };
    list.iter().zip(tokens).map(of_token).collect()
}

/// What is repeated of the prompt, before what was generated.
fn of_echo(choice: &Choice, tokens: &[TokenId]) -> Result<Vec<Scored>, String> {
    let log_probs = choice.logprobs.as_ref().ok_or("no log-probabilities")?;
    let own = log_probs.token_logprobs.as_ref().ok_or("no token_logprobs")?;
    // One token may have been generated after them.
    if !(tokens.len()..=tokens.len() + 1).contains(&own.len()) {
        return Err(format!("log-probabilities of {} tokens, where {} were sent", own.len(), tokens.len()));
    }
    let top = |place: usize| -> Option<f64> {
        let table = log_probs.top_logprobs.as_ref()?.get(place)?.as_ref()?;
        table.values().copied().reduce(f64::max)
    };
    Ok(own[..tokens.len()]
        .iter()
        .enumerate()
        .map(|(place, &own)| (own, top(place).zip(own).is_some_and(|(top, own)| own >= top)))
        .collect())
}

/// Scores every continuation of every request.
pub(crate) fn score(
    servers: &Arc<Servers>,
    can: &Arc<Vec<Capabilities>>,
    vocabulary: &Arc<Vocabulary>,
    context_length: usize,
    requests: &[ScoreRequest],
    sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
) -> Result<Usage, BackendError> {
    for (server, can) in servers.settings.servers.iter().zip(can.iter()) {
        if let Some(reason) = can.lacks(Need::Scores) {
            return Err(engine_error("scoring", ServerError::Lacks { server: server.base().into(), reason }));
        }
    }
    let mut asked = Asked::default();
    for (index, request) in requests.iter().enumerate() {
        asked.add(index, request, vocabulary, context_length)?;
    }
    let Asked { open, mut places, tokens } = asked;
    // What begins alike is sent together, and so finds its beginning in a server's cache.
    let order = by_common_beginning(tokens.iter().map(|(tokens, _)| tokens.as_slice()));
    places = order.iter().map(|&place| places[place]).collect();
    let mut tokens: Vec<Option<(Vec<TokenId>, usize)>> = tokens.into_iter().map(Some).collect();
    let exchanges: Vec<OfScores> = order
        .iter()
        .filter_map(|&place| tokens[place].take())
        .map(|(tokens, prompt)| OfScores { tokens, prompt, servers: Arc::clone(can) })
        .collect();
    let lengths: Vec<usize> = exchanges.iter().map(|one| one.tokens.len()).collect();
    let (mut usage, open) = (Usage::default(), RefCell::new(open));
    let mut give = |index: usize, open: &mut Vec<Open>| -> ControlFlow<()> {
        if open[index].missing > 0 {
            return go_on();
        }
        sink(index, std::mem::take(&mut open[index].parts))
    };
    for index in 0..requests.len() {
        // Those that have nothing to score.
        if give(index, &mut open.borrow_mut()).is_break() {
            return Err(BackendError::Cancelled);
        }
    }
    dispatch(
        servers,
        exchanges,
        &mut |number, scores| {
            let (index, continuation) = places[number];
            usage.read += lengths[number] as u64;
            let mut open = open.borrow_mut();
            open[index].put(continuation, scores);
            give(index, &mut open)
        },
        &mut go_on,
    )
    .map_err(|error| failed("scoring", error))?;
    Ok(usage)
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What is to be sent, and for whom.
#[derive(Default)]
struct Asked {
    open: Vec<Open>,
    /// The request and the continuation of each.
    places: Vec<(usize, usize)>,
    /// The tokens of each, and how many of them are the prompt's.
    tokens: Vec<(Vec<TokenId>, usize)>,
}

impl Asked {
    fn add(
        &mut self,
        index: usize,
        request: &ScoreRequest,
        vocabulary: &Vocabulary,
        context_length: usize,
    ) -> Result<(), BackendError> {
        request.validate(index, vocabulary.vocabulary())?;
        let (prompt, continuations) = vocabulary.scored(&request.prompt, &request.continuations)?;
        let mut open = Open::default();
        for (place, continuation) in continuations.into_iter().enumerate() {
            let length = prompt.len() + continuation.len();
            if length > context_length {
                return Err(BackendError::TooLong { request: index, tokens: length, context_length });
            }
            if !continuation.is_empty() {
                open.missing += 1;
                self.places.push((index, place));
                let tokens = prompt.iter().chain(&continuation).copied().collect();
                self.tokens.push((tokens, prompt.len()));
            }
            let scored = ScoredContinuation { tokens: continuation, log_probs: Vec::new(), is_greedy: true };
            open.parts.push(scored);
        }
        self.open.push(open);
        Ok(())
    }
}

/// A request whose continuations are being scored.
#[derive(Default)]
struct Open {
    parts: Vec<ScoredContinuation>,
    missing: usize,
}

impl Open {
    fn put(&mut self, continuation: usize, scores: Scores) {
        let part = &mut self.parts[continuation];
        part.log_probs = scores.log_probs;
        part.is_greedy = scores.is_greedy;
        self.missing -= 1;
    }
}
