//! Scoring continuations: each prompt is read once into the trunk, its continuations are branches.

use std::ops::ControlFlow;

use lancer_backend::{
    BackendError, ScoreRequest, ScoredContinuation, ScoredToken, TokenId, Tokenizer, by_common_beginning,
    score_token,
};
use llama_cpp_2::model::LlamaModel;
use rayon::prelude::*;

use crate::{
    cache::{Branch, Cache, Row},
    requests,
    vocabulary::{Reading, Vocabulary},
};

/// One continuation after its prompt.
struct Item {
    request: usize,
    place: usize,
    prompt: Vec<TokenId>,
    tokens: Vec<TokenId>,
    /// Of the tokens scored so far.
    scored: Vec<ScoredToken>,
}

/// Continuations of one prompt: those that are in turn, and how far the prompt is read.
struct Current {
    items: std::ops::Range<usize>,
    read: usize,
    logits: Option<Vec<f32>>,
}

/// A continuation being read.
struct Live {
    item: usize,
    branch: Branch,
    /// Tokens in the branch.
    fed: usize,
}

/// Scores every continuation of every request.
pub(crate) fn score(
    cache: &mut Cache<'_, '_>,
    model: &LlamaModel,
    vocabulary: &Vocabulary,
    context_length: usize,
    requests: &[ScoreRequest],
    sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
) -> Result<(), BackendError> {
    let items = prepare(model, vocabulary, context_length, requests)?;
    let order = by_common_beginning(items.iter().map(|item| item.prompt.as_slice()));
    let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    // Each index stands in the order once.
    let items: Vec<Item> = order.into_iter().filter_map(|index| slots[index].take()).collect();
    let left = requests.iter().map(|request| request.continuations.len()).collect();
    let mut run = Run {
        items,
        next: 0,
        live: Vec::new(),
        current: None,
        results: Results { left, done: Vec::new() },
        sink,
    };
    run.results.done = requests.iter().map(|request| vec![None; request.continuations.len()]).collect();
    for (request, asked) in requests.iter().enumerate() {
        if asked.continuations.is_empty() {
            run.give(request)?;
        }
    }
    loop {
        run.begin(cache)?;
        let rows = run.fill(cache)?;
        if cache.step()? == 0 {
            return Ok(());
        }
        run.read(cache, &rows)?;
    }
}

fn prepare(
    model: &LlamaModel,
    vocabulary: &Vocabulary,
    context_length: usize,
    requests: &[ScoreRequest],
) -> Result<Vec<Item>, BackendError> {
    let mut items = Vec::new();
    for (request, asked) in requests.iter().enumerate() {
        asked.validate(request, vocabulary.size())?;
        let (prompt, continuations) =
            Reading { model, vocabulary }.scored(&asked.prompt, &asked.continuations)?;
        for (place, tokens) in continuations.into_iter().enumerate() {
            let total = prompt.len() + tokens.len();
            if total > context_length {
                return Err(BackendError::TooLong { request, tokens: total, context_length });
            }
            items.push(Item { request, place, prompt: prompt.clone(), tokens, scored: Vec::new() });
        }
    }
    Ok(items)
}

struct Run<'a> {
    /// Sorted by prompt.
    items: Vec<Item>,
    /// The first item whose prompt has not been in the trunk.
    next: usize,
    live: Vec<Live>,
    current: Option<Current>,
    results: Results,
    sink: &'a mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
}

/// What is done of each request.
struct Results {
    left: Vec<usize>,
    done: Vec<Vec<Option<ScoredContinuation>>>,
}

/// The outputs that a step was asked for.
struct Rows {
    /// Item, its token, and the output that scores it.
    tokens: Vec<(usize, usize, Row)>,
    prompt: Option<Row>,
}

impl Run<'_> {
    /// Begins the continuations that have a place, and moves to the next prompt when all of the last one's have begun.
    ///
    /// As in [`generate`](crate::generate::generate), each step moves on: where there is no place, live continuations
    /// end, and where none is live, the next one fits.
    fn begin(&mut self, cache: &mut Cache<'_, '_>) -> Result<(), BackendError> {
        loop {
            let Some(mut current) = self.current.take() else {
                if self.next == self.items.len() || !self.fits(cache, self.next) {
                    return Ok(());
                }
                let prompt = &self.items[self.next].prompt;
                let alike = self.items[self.next..].iter().take_while(|item| item.prompt == *prompt).count();
                let read = cache.keep_common(prompt)?;
                let items = self.next..self.next + alike;
                self.next = items.end;
                self.current = Some(Current { items, read, logits: None });
                continue;
            };
            let Some(item) = current.items.clone().next() else { continue };
            let Some(logits) = &current.logits else {
                self.current = Some(current);
                return Ok(());
            };
            let tokens = &self.items[item].tokens;
            if tokens.len() > 1 {
                let branch = if self.fits(cache, item) { cache.branch()? } else { None };
                let Some(branch) = branch else {
                    self.current = Some(current);
                    return Ok(());
                };
                self.live.push(Live { item, branch, fed: 0 });
            }
            if item > 0 && self.items[item - 1].prompt == self.items[item].prompt {
                let shared = self.items[item].prompt.len();
                cache.count(|usage| usage.reused += shared as u64);
            }
            let first = tokens.first().map(|&first| score_token(logits, first));
            self.items[item].scored.extend(first);
            current.items.start += 1;
            self.current = Some(current);
            if self.items[item].tokens.len() <= 1 {
                self.finish(item)?;
            }
        }
    }

    /// Whether the cache holds `item`, of the next prompt or the one in the trunk, beside the live continuations. Alone
    /// it does.
    fn fits(&self, cache: &Cache<'_, '_>, item: usize) -> bool {
        // Live continuations stand in the order in which their prompts were read.
        let items = || self.live.iter().map(|live| live.item).chain([item]).map(|item| &self.items[item]);
        let mut prompts: Vec<&[TokenId]> = items().map(|item| item.prompt.as_slice()).collect();
        prompts.dedup();
        let continuations: usize = items().map(|item| item.tokens.len()).sum();
        self.live.is_empty() || requests::cells(prompts) + continuations <= cache.cells()
    }

    fn fill(&mut self, cache: &mut Cache<'_, '_>) -> Result<Rows, BackendError> {
        let mut tokens = Vec::new();
        for live in &mut self.live {
            let item = &self.items[live.item];
            // The last token is predicted, not read.
            let end = (live.fed + cache.room()).min(item.tokens.len() - 1);
            while live.fed < end {
                let row =
                    cache.grow_branch(live.branch, item.prompt.len() + live.fed, item.tokens[live.fed])?;
                live.fed += 1;
                tokens.push((live.item, live.fed, row));
            }
        }
        cache.count(|usage| usage.read += tokens.len() as u64);
        let mut prompt = None;
        if let Some(current) = self.current.as_mut().filter(|current| current.logits.is_none()) {
            let (read, row) = cache.grow_trunk(&self.items[current.items.start].prompt[current.read..])?;
            current.read += read;
            prompt = row;
        }
        Ok(Rows { tokens, prompt })
    }

    fn read(&mut self, cache: &mut Cache<'_, '_>, rows: &Rows) -> Result<(), BackendError> {
        let outputs: Vec<(&[f32], TokenId)> = rows
            .tokens
            .iter()
            .map(|&(item, place, row)| (cache.logits(row), self.items[item].tokens[place]))
            .collect();
        let scored: Vec<ScoredToken> =
            outputs.into_par_iter().map(|(logits, token)| score_token(logits, token)).collect();
        for (&(item, _, _), scored) in rows.tokens.iter().zip(scored) {
            self.items[item].scored.push(scored);
        }
        if let (Some(current), Some(row)) = (&mut self.current, rows.prompt) {
            current.logits = Some(cache.logits(row).to_vec());
        }
        for live in std::mem::take(&mut self.live) {
            if live.fed + 1 == self.items[live.item].tokens.len() {
                cache.drop_branch(live.branch)?;
                self.finish(live.item)?;
            } else {
                self.live.push(live);
            }
        }
        Ok(())
    }

    /// Keeps an item's scores, and gives its request where it was the last.
    fn finish(&mut self, item: usize) -> Result<(), BackendError> {
        let item = &mut self.items[item];
        let scored = std::mem::take(&mut item.scored);
        self.results.done[item.request][item.place] = Some(ScoredContinuation {
            tokens: std::mem::take(&mut item.tokens),
            log_probs: scored.iter().map(|token| token.log_prob).collect(),
            is_greedy: scored.iter().all(|token| token.is_greedy),
        });
        self.results.left[item.request] -= 1;
        let request = item.request;
        if self.results.left[request] == 0 { self.give(request) } else { Ok(()) }
    }

    fn give(&mut self, request: usize) -> Result<(), BackendError> {
        let done = std::mem::take(&mut self.results.done[request]).into_iter().flatten().collect();
        if (self.sink)(request, done).is_break() { Err(BackendError::Cancelled) } else { Ok(()) }
    }
}
