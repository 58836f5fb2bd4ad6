//! Drawing samples: a request's prompt is read once, then all its samples go on together, token by token.

use lancer_backend::{
    BackendError, CompletionSink, GenerateRequest, PreparedRequest, Sample, TokenId, Tokenizer, Usage,
};

use super::reader::{ReadPrompt, Reader};
use crate::{reading::Reading, transformer::Cache};

/// A sample being written.
struct Live {
    sample: Sample,
    cache: Cache,
}

/// Draws every sample of every request.
pub(crate) fn generate(
    reading: Reading<'_>,
    reader: &mut Reader,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, request)| {
            let context_length = reading.model.config().context_length;
            PreparedRequest::new(request, index, context_length, &reading)
        })
        .collect::<Result<Vec<_>, _>>()?;
    reader.take_usage();
    for (index, (request, prepared)) in requests.iter().zip(&prepared).enumerate() {
        if !request.seeds.is_empty() {
            Run { reading, reader, index, request, prepared, sink }.all_samples()?;
        }
    }
    Ok(reader.take_usage())
}

struct Run<'a> {
    reading: Reading<'a>,
    reader: &'a mut Reader,
    index: usize,
    request: &'a GenerateRequest,
    prepared: &'a PreparedRequest,
    sink: &'a mut dyn CompletionSink,
}

impl Run<'_> {
    fn all_samples(&mut self) -> Result<(), BackendError> {
        let ReadPrompt { cache, state } = self.reader.prompt(&self.prepared.prompt);
        let again = (self.request.seeds.len() - 1) * self.prepared.prompt.len();
        self.reader.count(|usage| usage.reused += again as u64);
        self.advanced(self.prepared.prompt.len())?;
        let logits = self.reader.transformer().head().logits(state);
        let mut live = Vec::new();
        for number in 0..self.request.seeds.len() {
            let sample = Sample::new(self.request, self.prepared, self.index, number);
            live.extend(self.go_on(Live { sample, cache: cache.clone() }, &logits)?);
        }
        while !live.is_empty() {
            let tokens: Vec<[TokenId; 1]> = live
                .iter()
                .filter_map(|live: &Live| live.sample.tokens().last().map(|&last| [last]))
                .collect();
            let tokens: Vec<&[TokenId]> = tokens.iter().map(<[TokenId; 1]>::as_slice).collect();
            let mut caches: Vec<Cache> =
                live.iter_mut().map(|live| std::mem::take(&mut live.cache)).collect();
            let states = self.reader.tokens(&tokens, &mut caches);
            // Tokens of samples are counted as generated, not as read.
            let count = tokens.len();
            self.reader.count(|usage| usage.read -= count as u64);
            self.advanced(count)?;
            let transformer = self.reader.transformer();
            let logits = transformer.head().logits(states);
            let vocabulary = transformer.config.vocab_size;
            let rows = logits.chunks_exact(vocabulary);
            let mut still = Vec::new();
            for ((live, cache), logits) in live.into_iter().zip(caches).zip(rows) {
                still.extend(self.go_on(Live { cache, ..live }, logits)?);
            }
            live = still;
        }
        Ok(())
    }

    fn advanced(&mut self, tokens: usize) -> Result<(), BackendError> {
        if self.sink.advanced(tokens).is_break() { Err(BackendError::Cancelled) } else { Ok(()) }
    }

    /// Chooses a sample's next token. Gives the sample back if it goes on.
    fn go_on(&mut self, mut live: Live, logits: &[f32]) -> Result<Option<Live>, BackendError> {
        let reading = self.reading;
        let choice = live.sample.choose(self.prepared, logits, reading.end_of_turn())?;
        let before = live.sample.tokens().len();
        let finish = live.sample.accept(self.prepared, choice, &reading)?;
        let written = live.sample.tokens().len() - before;
        self.reader.count(|usage| usage.generated += written as u64);
        match finish {
            None => Ok(Some(live)),
            Some(finish) if self.sink.completed(live.sample.complete(finish)).is_break() => {
                Err(BackendError::Cancelled)
            }
            Some(_) => Ok(None),
        }
    }
}
