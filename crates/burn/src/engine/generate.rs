//! Drawing samples: prompts are read some at a time, samples of any requests are written side by side.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use lancer_backend::{
    BackendError, Choice, CompletionSink, GenerateRequest, PreparedRequest, Sample, Tokenizer, Usage,
    by_common_beginning,
};
use rayon::prelude::*;

use super::{
    BurnSettings,
    reader::{Plan, Reader},
};
use crate::{numbers::indices, reading::Reading, transformer::Sequence};

/// Draws every sample of every request.
pub(crate) fn generate(
    reading: Reading<'_>,
    reader: &mut Reader,
    settings: BurnSettings,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let context_length = settings.context_length(reading.model.config().context_length);
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, request)| PreparedRequest::new(request, index, context_length, &reading))
        .collect::<Result<Vec<_>, _>>()?;
    let waiting = by_common_beginning(prepared.iter().map(|one| one.prompt.as_slice()))
        .into_iter()
        .filter(|&request| !requests[request].seeds.is_empty())
        .collect();
    reader.take_usage();
    let (read, live) = (VecDeque::new(), Vec::new());
    let mut run = Run { reading, reader, settings, requests, prepared, waiting, read, live, sink };
    loop {
        run.begin()?;
        if run.live.is_empty() {
            return Ok(run.reader.take_usage());
        }
        run.step()?;
    }
}

/// The end of a request's prompt in a pass.
struct End {
    request: usize,
    sequence: Sequence,
    row: usize,
}

/// A request whose prompt was read, some of its samples not begun.
struct Read {
    request: usize,
    sequence: Sequence,
    /// What follows the prompt.
    logits: Vec<f32>,
    /// Samples that have begun.
    begun: usize,
}

/// A sample being written.
struct Live {
    sample: Sample,
    /// All its tokens but the last.
    sequence: Sequence,
}

struct Run<'a> {
    reading: Reading<'a>,
    reader: &'a mut Reader,
    settings: BurnSettings,
    requests: &'a [GenerateRequest],
    prepared: Vec<PreparedRequest>,
    /// Requests whose prompts were not read.
    waiting: VecDeque<usize>,
    /// Those of which samples begin next.
    read: VecDeque<Read>,
    live: Vec<Live>,
    sink: &'a mut dyn CompletionSink,
}

impl Run<'_> {
    /// Begins samples until as many are live as may be, or none are left.
    fn begin(&mut self) -> Result<(), BackendError> {
        while self.live.len() < self.settings.parallel.get() as usize {
            if self.read.is_empty() {
                self.read_prompts()?;
            }
            let Some(mut next) = self.read.pop_front() else { return Ok(()) };
            if !self.has_room([next.request]) {
                self.read.push_front(next);
                return Ok(());
            }
            self.begin_sample(&next)?;
            next.begun += 1;
            if next.begun < self.requests[next.request].seeds.len() {
                self.read.push_front(next);
            }
        }
        Ok(())
    }

    /// Whether the cache holds a sample more of each of these requests, beside those that are live, at their longest.
    ///
    /// Where none is live it holds one, since no prompt with its limit is longer than the context, and that no longer than the
    /// cache. So each step moves on.
    fn has_room(&self, more: impl IntoIterator<Item = usize>) -> bool {
        let Some(most) = self.settings.cache_tokens else { return true };
        let live = self.live.iter().map(|live| live.sample.request());
        let mut requests: Vec<usize> = live.chain(more).collect();
        let limits: usize = requests.iter().map(|&request| self.prepared[request].limit).sum();
        requests.sort_unstable();
        requests.dedup();
        // Samples share their prompt.
        let prompts: usize = requests.iter().map(|&request| self.prepared[request].prompt.len()).sum();
        limits + prompts <= most.get() as usize
    }

    /// Reads the next prompt, and those after it that are read whole in its last pass.
    fn read_prompts(&mut self) -> Result<(), BackendError> {
        let most = self.settings.tokens_at_once();
        let (mut plan, mut ends) = (Plan::default(), Vec::new());
        while let Some(&request) = self.waiting.front() {
            let prompt = &self.prepared[request].prompt;
            let is_too_long = plan.rows() + prompt.len() - self.reader.known_tokens(prompt) > most;
            let planned = ends.iter().map(|end: &End| end.request).chain([request]);
            if !ends.is_empty() && (is_too_long || !self.has_room(planned)) {
                break;
            }
            self.waiting.pop_front();
            let mut sequence = self.reader.known_beginning(prompt);
            for tokens in prompt[sequence.length()..].chunks(most) {
                if plan.rows() + tokens.len() > most {
                    let plan = std::mem::take(&mut plan);
                    read(self.reader, plan, self.sink)?;
                }
                self.reader.plan(&mut plan, &mut sequence, tokens);
            }
            self.reader.keep_prompt(prompt, sequence.clone());
            // There is always a token to read.
            ends.push(End { request, sequence, row: plan.rows() - 1 });
        }
        if ends.is_empty() {
            return Ok(());
        }
        let states = read(self.reader, plan, self.sink)?;
        let rows = indices(ends.iter().map(|end| end.row), &states.device());
        let transformer = self.reader.transformer();
        let logits = transformer.head().logits(&states.select(0, rows));
        let each = logits.chunks_exact(transformer.config.vocab_size);
        self.read.extend(ends.into_iter().zip(each).map(|(End { request, sequence, .. }, logits)| Read {
            request,
            sequence,
            logits: logits.to_vec(),
            begun: 0,
        }));
        Ok(())
    }

    fn begin_sample(&mut self, read: &Read) -> Result<(), BackendError> {
        let &Read { request, begun: number, .. } = read;
        let prepared = &self.prepared[request];
        if number > 0 {
            self.reader.count(|usage| usage.reused += prepared.prompt.len() as u64);
        }
        let mut sample = Sample::new(&self.requests[request], prepared, request, number);
        let choice = sample.choose(prepared, &read.logits, self.reading.end_of_turn())?;
        let sample = self.accept(sample, choice)?;
        self.live.extend(sample.map(|sample| Live { sample, sequence: read.sequence.clone() }));
        Ok(())
    }

    /// Writes a token of each sample.
    fn step(&mut self) -> Result<(), BackendError> {
        let mut plan = Plan::default();
        for live in &mut self.live {
            // A sample that goes on has a token.
            let last = &live.sample.tokens()[live.sample.tokens().len() - 1..];
            self.reader.plan(&mut plan, &mut live.sequence, last);
        }
        let states = self.reader.read(plan);
        if self.sink.advanced(self.live.len()).is_break() {
            return Err(BackendError::Cancelled);
        }
        let transformer = self.reader.transformer();
        let logits = transformer.head().logits(&states);
        let (prepared, end) = (&self.prepared, self.reading.end_of_turn());
        // Over a vocabulary of tens of thousands, choosing for many samples takes as long as a part of the model.
        let choices: Vec<Choice> = self
            .live
            .par_iter_mut()
            .zip(logits.par_chunks_exact(transformer.config.vocab_size))
            .map(|(live, logits)| live.sample.choose(&prepared[live.sample.request()], logits, end))
            .collect::<Result<_, BackendError>>()?;
        for (live, choice) in std::mem::take(&mut self.live).into_iter().zip(choices) {
            let Live { sample, sequence } = live;
            let sample = self.accept(sample, choice)?;
            self.live.extend(sample.map(|sample| Live { sample, sequence }));
        }
        Ok(())
    }

    /// Adds the chosen token to a sample; gives it back if it goes on.
    fn accept(&mut self, sample: Sample, choice: Choice) -> Result<Option<Sample>, BackendError> {
        let prepared = &self.prepared[sample.request()];
        let mut generated = 0;
        let sample = sample.go_on(prepared, choice, &self.reading, &mut generated, self.sink)?;
        self.reader.count(|usage| usage.generated += generated);
        Ok(sample)
    }
}

/// Reads tokens of prompts.
fn read(reader: &mut Reader, plan: Plan, sink: &mut dyn CompletionSink) -> Result<Tensor<2>, BackendError> {
    let tokens = plan.rows();
    let states = reader.read(plan);
    reader.count(|usage| usage.read += tokens as u64);
    if sink.advanced(tokens).is_break() {
        return Err(BackendError::Cancelled);
    }
    Ok(states)
}
