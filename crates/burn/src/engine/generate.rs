//! Drawing samples: prompts are read one after the other, samples of any requests are written side by side.

use std::collections::VecDeque;

use lancer_backend::{
    BackendError, Choice, CompletionSink, GenerateRequest, PreparedRequest, Sample, Tokenizer, Usage,
    by_common_beginning,
};
use rayon::prelude::*;

use super::{
    BurnSettings,
    reader::{Plan, Reader},
};
use crate::{reading::Reading, transformer::Sequence};

/// Draws every sample of every request.
pub(crate) fn generate(
    reading: Reading<'_>,
    reader: &mut Reader,
    settings: BurnSettings,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let context_length = reading.model.config().context_length;
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
    let mut run =
        Run { reading, reader, settings, requests, prepared, waiting, current: None, live: Vec::new(), sink };
    loop {
        run.begin()?;
        if run.live.is_empty() {
            return Ok(run.reader.take_usage());
        }
        run.step()?;
    }
}

/// The request whose prompt was read last, some of its samples not begun.
struct Current {
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
    /// Requests not begun.
    waiting: VecDeque<usize>,
    current: Option<Current>,
    live: Vec<Live>,
    sink: &'a mut dyn CompletionSink,
}

impl Run<'_> {
    /// Begins samples until as many are live as may be, or none are left.
    fn begin(&mut self) -> Result<(), BackendError> {
        while self.live.len() < self.settings.parallel.get() as usize {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => match self.waiting.pop_front() {
                    Some(request) => self.read_prompt(request)?,
                    None => return Ok(()),
                },
            };
            self.begin_sample(&current)?;
            current.begun += 1;
            if current.begun < self.requests[current.request].seeds.len() {
                self.current = Some(current);
            }
        }
        Ok(())
    }

    fn read_prompt(&mut self, request: usize) -> Result<Current, BackendError> {
        let prompt = &self.prepared[request].prompt;
        let mut sequence = self.reader.known_beginning(prompt);
        let mut last = None;
        for tokens in prompt[sequence.length()..].chunks(self.settings.step_tokens.get() as usize) {
            let mut plan = Plan::default();
            let rows = self.reader.plan(&mut plan, &mut sequence, tokens);
            last = Some(self.reader.read(plan).narrow(0, rows.end - 1, 1));
            self.reader.count(|usage| usage.read += tokens.len() as u64);
            if self.sink.advanced(tokens.len()).is_break() {
                return Err(BackendError::Cancelled);
            }
        }
        self.reader.keep_prompt(prompt, sequence.clone());
        // There is always a token to read.
        let logits = last.map_or_else(Vec::new, |state| self.reader.transformer().head().logits(&state));
        Ok(Current { request, sequence, logits, begun: 0 })
    }

    fn begin_sample(&mut self, current: &Current) -> Result<(), BackendError> {
        let &Current { request, begun: number, .. } = current;
        let prepared = &self.prepared[request];
        if number > 0 {
            self.reader.count(|usage| usage.reused += prepared.prompt.len() as u64);
        }
        let mut sample = Sample::new(&self.requests[request], prepared, request, number);
        let choice = sample.choose(prepared, &current.logits, self.reading.end_of_turn())?;
        let sample = self.accept(sample, choice)?;
        self.live.extend(sample.map(|sample| Live { sample, sequence: current.sequence.clone() }));
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
