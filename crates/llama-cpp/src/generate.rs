//! Drawing samples: continuous batching over the cache.

use std::iter::Peekable;

use lancer_backend::{
    BackendError, Choice, CompletionSink, GenerateRequest, PreparedRequest, Sample, Tokenizer,
    by_common_beginning,
};
use llama_cpp_2::model::LlamaModel;
use rayon::prelude::*;

use crate::{
    cache::{Branch, Cache, Row},
    requests,
    vocabulary::{Reading, Vocabulary},
};

/// The request whose prompt is in the trunk.
struct Current {
    request: usize,
    /// Prompt tokens in the trunk or on their way into it.
    read: usize,
    /// What follows the prompt, once it is read.
    logits: Option<Vec<f32>>,
    /// Samples that have begun.
    begun: usize,
}

/// A sample being written.
struct Live {
    sample: Sample,
    branch: Branch,
}

/// Draws every sample of every request.
pub(crate) fn generate(
    cache: &mut Cache<'_, '_>,
    model: &LlamaModel,
    vocabulary: &Vocabulary,
    context_length: usize,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<(), BackendError> {
    let reading = Reading { model, vocabulary };
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, request)| PreparedRequest::new(request, index, context_length, &reading))
        .collect::<Result<Vec<_>, _>>()?;
    let order = by_common_beginning(prepared.iter().map(|one| one.prompt.as_slice()));
    let mut run = Run { reading, requests, prepared, live: Vec::new(), current: None, sink };
    let mut waiting = order.into_iter().filter(|&request| !requests[request].seeds.is_empty()).peekable();
    loop {
        run.begin(cache, &mut waiting)?;
        let rows = run.fill(cache)?;
        let tokens = cache.step()?;
        if tokens == 0 {
            return Ok(());
        }
        if run.sink.advanced(tokens).is_break() {
            return Err(BackendError::Cancelled);
        }
        run.read(cache, &rows)?;
    }
}

struct Run<'a> {
    reading: Reading<'a>,
    requests: &'a [GenerateRequest],
    prepared: Vec<PreparedRequest>,
    live: Vec<Live>,
    current: Option<Current>,
    sink: &'a mut dyn CompletionSink,
}

/// The outputs that a step was asked for.
struct Rows {
    samples: Vec<Row>,
    prompt: Option<Row>,
}

impl Run<'_> {
    /// Begins the samples that have a place, and moves to the next prompt when all of the last one's have begun.
    ///
    /// Where there is no place, live samples go on and end, each after its limit at the latest; where none is live, the
    /// next prompt and its first sample fit, since together they are no longer than the context. So each step moves on.
    fn begin(
        &mut self,
        cache: &mut Cache<'_, '_>,
        waiting: &mut Peekable<impl Iterator<Item = usize>>,
    ) -> Result<(), BackendError> {
        loop {
            let Some(mut current) = self.current.take() else {
                let Some(request) = waiting.next_if(|&request| self.fits(cache, request)) else {
                    return Ok(());
                };
                let read = cache.keep_common(&self.prepared[request].prompt)?;
                self.current = Some(Current { request, read, logits: None, begun: 0 });
                continue;
            };
            let (request, begun) = (current.request, current.begun);
            if begun == self.requests[request].seeds.len() {
                continue;
            }
            let branch = match &current.logits {
                Some(_) if self.fits(cache, request) => cache.branch()?,
                _ => None,
            };
            let (Some(branch), Some(logits)) = (branch, &current.logits) else {
                self.current = Some(current);
                return Ok(());
            };
            if begun > 0 {
                let shared = self.prepared[request].prompt.len();
                cache.count(|usage| usage.reused += shared as u64);
            }
            let mut sample = Sample::new(&self.requests[request], &self.prepared[request], request, begun);
            let choice = sample.choose(&self.prepared[request], logits, self.reading.end_of_turn())?;
            current.begun += 1;
            self.current = Some(current);
            self.accept(cache, Live { sample, branch }, choice)?;
        }
    }

    /// Whether the cache holds a sample of `request`, the next one or the one in the trunk, beside the live samples
    /// until all of them have reached their limits. Alone it does.
    fn fits(&self, cache: &Cache<'_, '_>, request: usize) -> bool {
        // Live samples stand in the order in which their prompts were read.
        let mut requests: Vec<usize> =
            self.live.iter().map(|live| live.sample.request()).chain([request]).collect();
        let limits: usize = requests.iter().map(|&request| self.prepared[request].limit).sum();
        requests.dedup();
        let prompts = requests.iter().map(|&request| self.prepared[request].prompt.as_slice());
        self.live.is_empty() || requests::cells(prompts) + limits <= cache.cells()
    }

    /// Fills a step: the last token of each sample, and as much of the prompt as there is room for.
    fn fill(&mut self, cache: &mut Cache<'_, '_>) -> Result<Rows, BackendError> {
        let mut samples = Vec::with_capacity(self.live.len());
        for Live { sample, branch } in &self.live {
            let last = sample.tokens().len() - 1;
            let place = self.prepared[sample.request()].prompt.len() + last;
            samples.push(cache.grow_branch(*branch, place, sample.tokens()[last])?);
        }
        let mut prompt = None;
        if let Some(current) = self.current.as_mut().filter(|current| current.logits.is_none()) {
            let (read, row) = cache.grow_trunk(&self.prepared[current.request].prompt[current.read..])?;
            current.read += read;
            prompt = row;
        }
        Ok(Rows { samples, prompt })
    }

    /// Reads a step's outputs.
    fn read(&mut self, cache: &mut Cache<'_, '_>, rows: &Rows) -> Result<(), BackendError> {
        let mut live = std::mem::take(&mut self.live);
        let logits: Vec<&[f32]> = rows.samples.iter().map(|&row| cache.logits(row)).collect();
        let (prepared, end) = (&self.prepared, self.reading.end_of_turn());
        // Over a vocabulary of tens of thousands, choosing for many samples takes as long as a part of the model.
        let choices: Vec<Choice> = live
            .par_iter_mut()
            .zip(logits)
            .map(|(live, logits)| live.sample.choose(&prepared[live.sample.request()], logits, end))
            .collect::<Result<_, BackendError>>()?;
        if let (Some(current), Some(row)) = (&mut self.current, rows.prompt) {
            current.logits = Some(cache.logits(row).to_vec());
        }
        for (live, choice) in live.into_iter().zip(choices) {
            self.accept(cache, live, choice)?;
        }
        Ok(())
    }

    /// Adds the chosen token to a sample, which then goes on or ends.
    fn accept(
        &mut self,
        cache: &mut Cache<'_, '_>,
        mut live: Live,
        choice: Choice,
    ) -> Result<(), BackendError> {
        let before = live.sample.tokens().len();
        let finish = live.sample.accept(&self.prepared[live.sample.request()], choice, &self.reading)?;
        let written = live.sample.tokens().len() - before;
        cache.count(|usage| usage.generated += written as u64);
        let Some(finish) = finish else {
            self.live.push(live);
            return Ok(());
        };
        cache.drop_branch(live.branch)?;
        if self.sink.completed(live.sample.complete(finish)).is_break() {
            return Err(BackendError::Cancelled);
        }
        Ok(())
    }
}
