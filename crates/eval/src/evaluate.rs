//! Asking a model the items of a task.

use std::ops::ControlFlow;

use lancer_backend::{
    Backend, BackendError, Completion, CompletionSink, GenerateRequest, ScoreRequest, ScoredContinuation,
    Seed, Usage,
};

use crate::{
    EvalError, ItemResult, Task,
    task::{GeneratedItem, GeneratedQuestion, Items, ScoredItem, ScoredQuestion},
};

/// Receives results as they are made.
pub trait EvalSink {
    /// An item was evaluated. `Break` cancels the rest; [`evaluate`] then returns [`EvalError::Cancelled`].
    fn evaluated(&mut self, result: ItemResult) -> ControlFlow<()>;

    /// `tokens` more tokens were computed.
    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        let _ = tokens;
        ControlFlow::Continue(())
    }
}

/// Keeps every result, in the order in which they come.
impl EvalSink for Vec<ItemResult> {
    fn evaluated(&mut self, result: ItemResult) -> ControlFlow<()> {
        self.push(result);
        ControlFlow::Continue(())
    }
}

/// Asks the model some items of a task and hands each result to `sink` as it is made, in any order.
///
/// `items` are places from 0, below [`Task::len`]; a run that is resumed passes those that are missing. All are given to
/// the engine in one call, so that it computes what they begin with in common once. `seed` decides where the task
/// samples its answers, and each item's seed is derived from it and the item's place: it does not matter which other
/// items are asked with it.
pub fn evaluate(
    backend: &mut dyn Backend,
    task: &Task,
    items: &[usize],
    seed: Seed,
    sink: &mut dyn EvalSink,
) -> Result<Usage, EvalError> {
    if let Some(&item) = items.iter().find(|&&item| item >= task.len()) {
        return Err(EvalError::NoSuchItem { task: task.name().into(), item, items: task.len() });
    }
    let mut failure = None;
    let outcome = match &task.items {
        Items::Scored(all) => score(backend, task, all, items, sink, &mut failure),
        Items::Generated(all) => generate(backend, task, all, items, seed, sink),
    };
    match (outcome, failure) {
        (_, Some(failure)) => Err(failure),
        (Ok(usage), None) => Ok(usage),
        (Err(error), None) => Err(at_item(task, items, error)),
    }
}

fn score(
    backend: &mut dyn Backend,
    task: &Task,
    all: &[ScoredItem],
    items: &[usize],
    sink: &mut dyn EvalSink,
    failure: &mut Option<EvalError>,
) -> Result<Usage, BackendError> {
    let requests: Vec<ScoreRequest> = items.iter().map(|&item| all[item].request.clone()).collect();
    backend.score(&requests, &mut |request, scored| {
        let item = items[request];
        let tokens = scored.iter().map(|scored| scored.tokens.len()).sum();
        if !scored.iter().all(is_finite) {
            *failure = Some(EvalError::NotFinite { task: task.name().into(), item });
            return ControlFlow::Break(());
        }
        let (value, weight, detail) = match &all[item].question {
            ScoredQuestion::Choices(choices) => {
                let (value, detail) = choices.judge(&scored);
                (value, 1.0, detail)
            }
            // One continuation was asked for, and an engine answers each.
            ScoredQuestion::Response(response) => response.judge(&scored[0]),
        };
        sink.advanced(tokens)?;
        sink.evaluated(ItemResult { item, value, weight, detail })
    })
}

fn is_finite(scored: &ScoredContinuation) -> bool {
    scored.log_probs.iter().all(|log_prob| log_prob.is_finite())
}

fn generate(
    backend: &mut dyn Backend,
    task: &Task,
    all: &[GeneratedItem],
    items: &[usize],
    seed: Seed,
    sink: &mut dyn EvalSink,
) -> Result<Usage, BackendError> {
    let requests: Vec<GenerateRequest> = items
        .iter()
        .map(|&item| {
            let asked = &all[item];
            let (prompt, seed) = (asked.prompt.clone(), seed.derive(&format!("{}/{item}", task.name())));
            match &asked.question {
                GeneratedQuestion::Exact(question) => question.request(prompt, seed),
                GeneratedQuestion::Instructions(question) => question.request(prompt, seed),
            }
        })
        .collect();
    backend.generate(&requests, &mut Judged { all, items, sink })
}

/// Turns completions into results.
struct Judged<'a> {
    all: &'a [GeneratedItem],
    items: &'a [usize],
    sink: &'a mut dyn EvalSink,
}

impl CompletionSink for Judged<'_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        let item = self.items[completion.request];
        let (value, weight, detail) = match &self.all[item].question {
            GeneratedQuestion::Exact(question) => {
                let (value, detail) = question.judge(completion);
                (value, 1.0, detail)
            }
            GeneratedQuestion::Instructions(question) => question.judge(completion),
        };
        self.sink.evaluated(ItemResult { item, value, weight, detail })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}

/// An engine's error, with the item that caused it where one did.
fn at_item(task: &Task, items: &[usize], source: BackendError) -> EvalError {
    let request = match &source {
        BackendError::Cancelled => return EvalError::Cancelled,
        BackendError::TooLong { request, .. } | BackendError::InvalidRequest { request, .. } => {
            Some(*request)
        }
        _ => None,
    };
    let item = request.and_then(|request| items.get(request)).copied();
    match item.and_then(|item| task.record(item).map(|record| (item, record))) {
        Some((item, record)) => {
            EvalError::Item { task: task.name().into(), item, data: task.data().into(), record, source }
        }
        None => EvalError::Backend { task: task.name().into(), source },
    }
}
