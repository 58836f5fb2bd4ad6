//! Scoring: prompts that begin alike are read once, and prompts and continuations of many requests in one pass.

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor, TensorData};
use lancer_backend::{
    BackendError, ScoreRequest, ScoredContinuation, TokenId, Tokenizer, Usage, by_common_beginning,
};

use super::{
    BurnSettings,
    reader::{Plan, Reader},
};
use crate::{reading::Reading, transformer::Sequence};

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
    let asked = prepare(reading, requests)?;
    let done = asked.iter().map(Asked::nothing_scored).collect();
    reader.take_usage();
    let pass = Pass { plan: Plan::default(), predictions: Vec::new(), whole: Vec::new() };
    let mut run = Run { reader, step: settings.step_tokens.get() as usize, pass, done, sink };
    let order = by_common_beginning(asked.iter().map(|one| one.prompt.as_slice()));
    let result = order
        .into_iter()
        .try_for_each(|request| run.plan_request(request, &asked[request]))
        .and_then(|()| run.compute());
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

impl Asked {
    fn nothing_scored(&self) -> Vec<ScoredContinuation> {
        let nothing = |tokens: &Vec<TokenId>| ScoredContinuation {
            tokens: tokens.clone(),
            log_probs: Vec::with_capacity(tokens.len()),
            is_greedy: true,
        };
        self.continuations.iter().map(nothing).collect()
    }
}

fn prepare(reading: Reading<'_>, requests: &[ScoreRequest]) -> Result<Vec<Asked>, BackendError> {
    let config = reading.model.config();
    let prepared = requests.iter().enumerate().map(|(request, asked)| {
        asked.validate(request, config.vocab_size)?;
        let (prompt, continuations) = reading.scored(&asked.prompt, &asked.continuations)?;
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let (tokens, context_length) = (prompt.len() + longest, config.context_length);
        if tokens > context_length {
            return Err(BackendError::TooLong { request, tokens, context_length });
        }
        Ok(Asked { prompt, continuations })
    });
    prepared.collect()
}

/// The next pass.
struct Pass {
    plan: Plan,
    /// What its rows predict, each continuation's tokens in their order.
    predictions: Vec<Prediction>,
    /// Requests that are whole with it.
    whole: Vec<usize>,
}

/// A target of a row.
struct Prediction {
    row: usize,
    target: TokenId,
    request: usize,
    /// Which of the request's continuations.
    place: usize,
}

struct Run<'a, 'b> {
    reader: &'a mut Reader,
    /// Tokens of a pass at most.
    step: usize,
    pass: Pass,
    done: Vec<Vec<ScoredContinuation>>,
    sink: &'a mut Sink<'b>,
}

impl Run<'_, '_> {
    fn plan_request(&mut self, request: usize, asked: &Asked) -> Result<(), BackendError> {
        if asked.continuations.iter().any(|tokens| !tokens.is_empty()) {
            let mut sequence = self.reader.known_beginning(&asked.prompt);
            let known = sequence.length();
            let last = self.plan_tokens(&mut sequence, &asked.prompt[known..], |_, _| None)?;
            self.reader.keep_prompt(&asked.prompt, sequence.clone());
            // A continuation's first token is predicted by the prompt.
            for (place, tokens) in asked.continuations.iter().enumerate() {
                self.pass.predictions.extend(tokens.first().map(|&target| Prediction {
                    row: last,
                    target,
                    request,
                    place,
                }));
            }
            for (place, tokens) in
                asked.continuations.iter().enumerate().filter(|(_, tokens)| tokens.len() > 1)
            {
                // Its last one is not read.
                let read = &tokens[..tokens.len() - 1];
                self.plan_tokens(&mut sequence.clone(), read, |row, token| {
                    Some(Prediction { row, target: tokens[token + 1], request, place })
                })?;
            }
        }
        self.pass.whole.push(request);
        Ok(())
    }

    /// Plans to read tokens, at least one, in as many passes as they need; `predict` says what a row predicts that reads the
    /// token of this index. Gives the last one's row.
    fn plan_tokens(
        &mut self,
        sequence: &mut Sequence,
        tokens: &[TokenId],
        predict: impl Fn(usize, usize) -> Option<Prediction>,
    ) -> Result<usize, BackendError> {
        let mut planned = 0;
        while planned < tokens.len() {
            if self.pass.plan.rows() == self.step {
                self.compute()?;
            }
            let count = (tokens.len() - planned).min(self.step - self.pass.plan.rows());
            let part = &tokens[planned..planned + count];
            let rows = self.reader.plan(&mut self.pass.plan, sequence, part);
            self.pass.predictions.extend(rows.zip(planned..).filter_map(|(row, token)| predict(row, token)));
            planned += count;
        }
        Ok(self.pass.plan.rows() - 1)
    }

    /// Reads what is planned, and hands on the requests that are whole.
    fn compute(&mut self) -> Result<(), BackendError> {
        let new = Pass { plan: Plan::default(), predictions: Vec::new(), whole: Vec::new() };
        let Pass { plan, predictions, whole } = std::mem::replace(&mut self.pass, new);
        let rows = plan.rows();
        if rows > 0 {
            let states = self.reader.read(plan);
            self.reader.count(|usage| usage.read += rows as u64);
            self.score(&states, &predictions);
        }
        for request in whole {
            if (self.sink)(request, std::mem::take(&mut self.done[request])).is_break() {
                return Err(BackendError::Cancelled);
            }
        }
        Ok(())
    }

    fn score(&mut self, states: &Tensor<2>, predictions: &[Prediction]) {
        if predictions.is_empty() {
            return;
        }
        let rows: Vec<i64> = predictions.iter().map(|prediction| prediction.row as i64).collect();
        let rows = TensorData::new(rows, [predictions.len()]);
        let states = states.clone().select(0, Tensor::<1, Int>::from_data(rows, &states.device()));
        let targets: Vec<TokenId> = predictions.iter().map(|prediction| prediction.target).collect();
        let scored = self.reader.transformer().head().score(&states, &targets);
        for (scored, prediction) in scored.into_iter().zip(predictions) {
            let continuation = &mut self.done[prediction.request][prediction.place];
            continuation.log_probs.push(scored.log_prob);
            continuation.is_greedy &= scored.is_best;
        }
    }
}
