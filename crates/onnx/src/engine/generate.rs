//! Drawing samples: prompts are read one after the other, samples are written side by side.

use lancer_backend::{
    BackendError, Choice, CompletionSink, GenerateRequest, PreparedRequest, Sample, TokenId, Tokenizer,
    Usage, by_common_beginning,
};
use rayon::prelude::*;

use super::{
    OnnxRuntime, OnnxSettings,
    batch::{Batch, Row},
    decoder::Decoder,
    interface::Rows,
    prompt::ReadPrompt,
    vocabulary::Vocabulary,
};

/// Samples whose tokens one thread chooses.
const CHOSEN_ALONE: usize = 8;

/// Draws every sample of every request.
pub(super) fn generate(
    engine: &mut OnnxRuntime,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let (context_length, vocabulary) = (engine.info.context_length, &engine.vocabulary);
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, request)| PreparedRequest::new(request, index, context_length, vocabulary))
        .collect::<Result<Vec<_>, _>>()?;
    let waiting = by_common_beginning(prepared.iter().map(|one| one.prompt.as_slice()))
        .into_iter()
        .filter(|&request| !requests[request].seeds.is_empty())
        .collect();
    let mut run = Run {
        batch: Batch::new(&mut engine.decoder)?,
        decoder: &mut engine.decoder,
        vocabulary,
        settings: engine.settings,
        prompt: &mut engine.prompt,
        requests,
        prepared,
        waiting,
        current: None,
        live: Vec::new(),
        usage: Usage::default(),
        sink,
    };
    loop {
        run.begin()?;
        if run.live.is_empty() {
            return Ok(run.usage);
        }
        run.step()?;
    }
}

/// The request whose prompt was read last, some of its samples not begun.
struct Current {
    request: usize,
    /// What follows the prompt.
    logits: Vec<f32>,
    /// Samples that have begun.
    begun: usize,
}

/// A sample being written.
struct Live {
    sample: Sample,
    row: Row,
}

struct Run<'a> {
    decoder: &'a mut Decoder,
    vocabulary: &'a Vocabulary,
    settings: OnnxSettings,
    prompt: &'a mut ReadPrompt,
    requests: &'a [GenerateRequest],
    prepared: Vec<PreparedRequest>,
    /// Requests not begun.
    waiting: std::collections::VecDeque<usize>,
    current: Option<Current>,
    batch: Batch,
    live: Vec<Live>,
    usage: Usage,
    sink: &'a mut dyn CompletionSink,
}

impl Run<'_> {
    /// Begins the samples that have a place.
    ///
    /// Where none is live the next one always has, since a prompt and its limit are no longer than the context, and that no
    /// longer than the cache. So each step moves on.
    fn begin(&mut self) -> Result<(), BackendError> {
        loop {
            let Some(mut current) = self.current.take() else {
                let Some(&request) = self.waiting.front() else { return Ok(()) };
                if self.places(request) == 0 {
                    return Ok(());
                }
                self.waiting.pop_front();
                let logits = self.read_prompt(request)?;
                self.current = Some(Current { request, logits, begun: 0 });
                continue;
            };
            let request = current.request;
            let left = self.requests[request].seeds.len() - current.begun;
            let count = self.places(request).min(left);
            self.begin_samples(&current, count)?;
            current.begun += count;
            if count < left {
                self.current = Some(current);
                // Samples may have ended with their first token and left a place.
                if count == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// How many samples of a request can begin now: each live one has a row as long as the longest may become.
    fn places(&self, request: usize) -> usize {
        if self.decoder.interface().rows() == Rows::OfOneLength && !self.live.is_empty() {
            return 0;
        }
        let tokens = self.settings.cache_tokens.get() as usize / self.longest_with(request);
        let rows = tokens.min(self.settings.parallel.get() as usize);
        rows.max(1).saturating_sub(self.live.len())
    }

    /// Tokens that the longest sample may have, with its prompt, of those that are live and of a request that begins.
    fn longest_with(&self, request: usize) -> usize {
        let longest = |request: usize| self.prepared[request].prompt.len() + self.prepared[request].limit;
        let live = self.live.iter().map(|live| longest(live.sample.request()));
        live.chain([longest(request)]).max().unwrap_or(1)
    }

    fn read_prompt(&mut self, request: usize) -> Result<Vec<f32>, BackendError> {
        let tokens = &self.prepared[request].prompt;
        let (step, sink) = (self.settings.step_tokens.get() as usize, &mut *self.sink);
        let mut logits = Vec::new();
        self.prompt.read(self.decoder, tokens, 1, step, &mut self.usage, &mut |part| {
            if !part.kept.is_empty() {
                logits = part.logits.of(0, 0)?.into_owned();
            }
            if sink.advanced(part.read).is_break() { Err(BackendError::Cancelled) } else { Ok(()) }
        })?;
        Ok(logits)
    }

    fn begin_samples(&mut self, current: &Current, count: usize) -> Result<(), BackendError> {
        let (request, end) = (current.request, self.vocabulary.end_of_turn());
        let mut going_on = Vec::new();
        for number in current.begun..current.begun + count {
            if number > 0 {
                self.usage.reused += self.prepared[request].prompt.len() as u64;
            }
            let prepared = &self.prepared[request];
            let mut sample = Sample::new(&self.requests[request], prepared, request, number);
            let choice = sample.choose(prepared, &current.logits, end)?;
            going_on.extend(self.accept(sample, choice)?);
        }
        if !going_on.is_empty() {
            let rows = {
                let longest = self.longest_with(request);
                self.batch.add(self.decoder, self.prompt.cache(), going_on.len(), longest)?
            };
            self.live.extend(going_on.into_iter().zip(rows).map(|(sample, row)| Live { sample, row }));
        }
        Ok(())
    }

    /// Writes a token of each sample.
    fn step(&mut self) -> Result<(), BackendError> {
        let mut rows: Vec<&mut Row> = self.live.iter_mut().map(|live| &mut live.row).collect();
        self.batch.compact(self.decoder, &mut rows)?;
        let tokens: Vec<(Row, TokenId)> = self
            .live
            .iter()
            .filter_map(|live| live.sample.tokens().last().map(|&token| (live.row, token)))
            .collect();
        let logits = self.batch.step(self.decoder, &tokens)?;
        if self.sink.advanced(tokens.len()).is_break() {
            return Err(BackendError::Cancelled);
        }
        let (prepared, end) = (&self.prepared, self.vocabulary.end_of_turn());
        let choose = |live: &mut Live| {
            let logits = logits.of(live.row)?;
            live.sample.choose(&prepared[live.sample.request()], &logits, end)
        };
        // Over a vocabulary of tens of thousands, choosing for many samples takes as long as a part of the model; for few,
        // less than waking threads.
        let choices: Vec<Choice> = if self.live.len() > CHOSEN_ALONE {
            self.live.par_iter_mut().map(choose).collect::<Result<_, BackendError>>()?
        } else {
            self.live.iter_mut().map(choose).collect::<Result<_, BackendError>>()?
        };
        for (live, choice) in std::mem::take(&mut self.live).into_iter().zip(choices) {
            match self.accept(live.sample, choice)? {
                Some(sample) => self.live.push(Live { sample, row: live.row }),
                None => self.batch.free(live.row),
            }
        }
        Ok(())
    }

    /// Adds the chosen token to a sample; gives it back if it goes on.
    fn accept(&mut self, sample: Sample, choice: Choice) -> Result<Option<Sample>, BackendError> {
        let prepared = &self.prepared[sample.request()];
        sample.go_on(prepared, choice, self.vocabulary, &mut self.usage.generated, self.sink)
    }
}
