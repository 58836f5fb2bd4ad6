//! Scoring: prompts that begin alike are read once, as are a request's continuations, and many requests in one pass.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use lancer_backend::{
    BackendError, ScoreRequest, ScoredContinuation, ScoredToken, TokenId, Tokenizer, Usage,
    by_common_beginning, common_beginning,
};

use super::{
    BurnSettings,
    reader::{Plan, Reader},
};
use crate::{numbers::indices, reading::Reading, transformer::Sequence};

/// Receives a request's index and its continuations.
type Sink<'a> = dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()> + 'a;

/// Scores every continuation of every request.
pub(crate) fn score(
    reading: Reading<'_>,
    reader: &mut Reader,
    settings: BurnSettings,
    requests: &[ScoreRequest],
    sink: &mut Sink<'_>,
) -> Result<Usage, BackendError> {
    let asked = prepare(reading, settings, requests)?;
    let done = asked.iter().map(|one| vec![Vec::new(); one.continuations.len()]).collect();
    reader.take_usage();
    let step = settings.tokens_at_once();
    let mut run = Run { reader, step, asked: &asked, pass: Pass::default(), done, sink };
    let order = by_common_beginning(asked.iter().map(|one| one.prompt.as_slice()));
    let result =
        order.into_iter().try_for_each(|request| run.plan_request(request)).and_then(|()| run.compute());
    if result.is_err() {
        // What was planned may not have been read.
        reader.forget_prompt();
    }
    result.map(|()| reader.take_usage())
}

/// A request as tokens.
struct Asked {
    prompt: Vec<TokenId>,
    continuations: Vec<Vec<TokenId>>,
}

fn prepare(
    reading: Reading<'_>,
    settings: BurnSettings,
    requests: &[ScoreRequest],
) -> Result<Vec<Asked>, BackendError> {
    let config = reading.model.config();
    let context_length = settings.context_length(config.context_length);
    let prepared = requests.iter().enumerate().map(|(request, asked)| {
        asked.validate(request, config.vocab_size)?;
        let (prompt, continuations) = reading.scored(&asked.prompt, &asked.continuations)?;
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let tokens = prompt.len() + longest;
        if tokens > context_length {
            return Err(BackendError::TooLong { request, tokens, context_length });
        }
        Ok(Asked { prompt, continuations })
    });
    prepared.collect()
}

/// The next pass.
#[derive(Default)]
struct Pass {
    plan: Plan,
    /// What becomes known with it, each continuation's tokens in their order.
    scores: Vec<Score>,
    /// Requests that are whole with it.
    whole: Vec<usize>,
}

/// The next score, or scores, of one of a request's continuations.
struct Score {
    request: usize,
    place: usize,
    from: From,
}

/// Where scores come from.
enum From {
    /// This token, as a row of the pass predicts it.
    Row(usize, TokenId),
    /// The first so many tokens of an earlier continuation.
    Continuation(usize, usize),
}

struct Run<'a, 'b> {
    reader: &'a mut Reader,
    /// Tokens of a pass at most.
    step: usize,
    asked: &'a [Asked],
    pass: Pass,
    /// What is known of each request's continuations.
    done: Vec<Vec<Vec<ScoredToken>>>,
    sink: &'a mut Sink<'b>,
}

impl Run<'_, '_> {
    fn plan_request(&mut self, request: usize) -> Result<(), BackendError> {
        let Asked { prompt, continuations } = &self.asked[request];
        if continuations.iter().any(|tokens| !tokens.is_empty()) {
            let mut sequence = self.reader.known_beginning(prompt);
            let known = sequence.length();
            let last = self.plan_tokens(&mut sequence, &prompt[known..], |_, _| None)?;
            self.reader.keep_prompt(prompt, sequence.clone());
            // A continuation's first token is predicted by the prompt.
            for (place, tokens) in continuations.iter().enumerate() {
                self.pass.scores.extend(tokens.first().map(|&target| Score {
                    request,
                    place,
                    from: From::Row(last, target),
                }));
            }
            let mut read: Vec<Sequence> = Vec::new();
            for place in 0..continuations.len() {
                read.push(self.plan_continuation(request, place, &sequence, &read)?);
            }
        }
        self.pass.whole.push(request);
        Ok(())
    }

    /// Plans to read a continuation, which an earlier one may begin like. `prompt` is what it goes on from, `earlier` what has
    /// become of the continuations before it.
    fn plan_continuation(
        &mut self,
        request: usize,
        place: usize,
        prompt: &Sequence,
        earlier: &[Sequence],
    ) -> Result<Sequence, BackendError> {
        let continuations = &self.asked[request].continuations;
        let tokens = &continuations[place];
        let alike = |&other: &usize| common_beginning(&continuations[other], tokens);
        let like = (0..place).max_by_key(alike).map(|other| (other, alike(&other)));
        // The last token that both have is read again: what it predicts is not the same.
        let (mut sequence, known) = match like {
            Some((other, common)) if common > 1 => {
                let from = From::Continuation(other, common);
                self.pass.scores.push(Score { request, place, from });
                (earlier[other].beginning(prompt.length() + common - 1), common - 1)
            }
            _ => (prompt.clone(), 0),
        };
        // Its last token is predicted, not read.
        let read = &tokens[known..tokens.len().saturating_sub(1).max(known)];
        if !read.is_empty() {
            self.plan_tokens(&mut sequence, read, |row, token| {
                let from = From::Row(row, tokens[known + token + 1]);
                Some(Score { request, place, from })
            })?;
        }
        Ok(sequence)
    }

    /// Plans to read tokens, at least one, in as many passes as they need; `predict` says which score comes from a row that
    /// reads the token of this index. Gives the last one's row.
    fn plan_tokens(
        &mut self,
        sequence: &mut Sequence,
        tokens: &[TokenId],
        predict: impl Fn(usize, usize) -> Option<Score>,
    ) -> Result<usize, BackendError> {
        let mut planned = 0;
        while planned < tokens.len() {
            if self.pass.plan.rows() == self.step {
                self.compute()?;
            }
            let count = (tokens.len() - planned).min(self.step - self.pass.plan.rows());
            let part = &tokens[planned..planned + count];
            let rows = self.reader.plan(&mut self.pass.plan, sequence, part);
            self.pass.scores.extend(rows.zip(planned..).filter_map(|(row, token)| predict(row, token)));
            planned += count;
        }
        Ok(self.pass.plan.rows() - 1)
    }

    /// Reads what is planned, and hands on the requests that are whole.
    fn compute(&mut self) -> Result<(), BackendError> {
        let Pass { plan, scores, whole } = std::mem::take(&mut self.pass);
        let rows = plan.rows();
        let states = (rows > 0).then(|| self.reader.read(plan));
        self.reader.count(|usage| usage.read += rows as u64);
        self.score(states.as_ref(), &scores);
        for request in whole {
            let done = std::mem::take(&mut self.done[request]);
            let scored = self.asked[request].continuations.iter().zip(done).map(|(tokens, scored)| {
                ScoredContinuation {
                    tokens: tokens.clone(),
                    log_probs: scored.iter().map(|token| token.log_prob).collect(),
                    is_greedy: scored.iter().all(|token| token.is_greedy),
                }
            });
            if (self.sink)(request, scored.collect()).is_break() {
                return Err(BackendError::Cancelled);
            }
        }
        Ok(())
    }

    /// Adds the scores of a pass that gave these states, or read nothing.
    fn score(&mut self, states: Option<&Tensor<2>>, scores: &[Score]) {
        let (rows, targets): (Vec<usize>, Vec<TokenId>) = scores
            .iter()
            .filter_map(|score| match score.from {
                From::Row(row, target) => Some((row, target)),
                From::Continuation(..) => None,
            })
            .unzip();
        let of_rows = states.filter(|_| !rows.is_empty()).map(|states| {
            let states = states.clone().select(0, indices(rows, &states.device()));
            self.reader.transformer().head().score(&states, &targets)
        });
        let mut of_rows = of_rows.into_iter().flatten();
        for score in scores {
            let done = &mut self.done[score.request];
            match score.from {
                // As many as there are rows.
                From::Row(..) => done[score.place].extend(
                    of_rows
                        .next()
                        .map(|of_row| ScoredToken { log_prob: of_row.log_prob, is_greedy: of_row.is_best }),
                ),
                // The first token's score was there before.
                From::Continuation(other, count) => {
                    let (before, after) = done.split_at_mut(score.place);
                    after[0].extend_from_slice(&before[other][1..count]);
                }
            }
        }
    }
}
