//! Drawing samples: a request's prompt is read once, then all its samples go on together, token by token.

use lancer_backend::{
    Allowed, BackendError, Completion, CompletionSink, Finish, GenerateRequest, PreparedRequest, Sampler,
    TokenId, TriePosition, Usage,
};
use lancer_model::Model;

use super::reader::{ReadPrompt, Reader};
use crate::{reading, transformer::Cache};

/// A sample being written.
struct Sample {
    number: usize,
    cache: Cache,
    sampler: Sampler,
    position: TriePosition,
    tokens: Vec<TokenId>,
    log_probs: Vec<f32>,
}

/// Draws every sample of every request.
pub(crate) fn generate(
    model: &Model,
    reader: &mut Reader,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, request)| prepare(model, index, request))
        .collect::<Result<Vec<_>, _>>()?;
    reader.take_usage();
    for (index, (request, prepared)) in requests.iter().zip(&prepared).enumerate() {
        if !request.seeds.is_empty() {
            Run { model, reader, index, request, prepared, sink }.all_samples()?;
        }
    }
    Ok(reader.take_usage())
}

fn prepare(model: &Model, index: usize, request: &GenerateRequest) -> Result<PreparedRequest, BackendError> {
    let config = model.config();
    request.validate(index, config.vocab_size)?;
    let prompt = reading::prompt(model, &request.prompt).map_err(BackendError::ChatTemplate)?;
    PreparedRequest::new(request, index, prompt, config.context_length, |choice| {
        reading::plain(model, choice)
    })
}

struct Run<'a> {
    model: &'a Model,
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
        for (number, &seed) in self.request.seeds.iter().enumerate() {
            let sample = Sample {
                number,
                cache: cache.clone(),
                sampler: Sampler::new(self.request.sampling, seed),
                position: TriePosition::default(),
                tokens: Vec::new(),
                log_probs: Vec::new(),
            };
            live.extend(self.go_on(sample, &logits)?);
        }
        while !live.is_empty() {
            let tokens: Vec<[TokenId; 1]> =
                live.iter().map(|sample: &Sample| [sample.tokens[sample.tokens.len() - 1]]).collect();
            let tokens: Vec<&[TokenId]> = tokens.iter().map(<[TokenId; 1]>::as_slice).collect();
            let mut caches: Vec<Cache> =
                live.iter_mut().map(|sample| std::mem::take(&mut sample.cache)).collect();
            let states = self.reader.tokens(&tokens, &mut caches);
            // Tokens of samples are counted as generated, not as read.
            self.reader.count(|usage| usage.read -= tokens.len() as u64);
            self.advanced(tokens.len())?;
            let transformer = self.reader.transformer();
            let logits = transformer.head().logits(states);
            let vocabulary = transformer.config.vocab_size;
            let rows = logits.chunks_exact(vocabulary);
            let mut still = Vec::new();
            for ((mut sample, cache), logits) in live.into_iter().zip(caches).zip(rows) {
                sample.cache = cache;
                still.extend(self.go_on(sample, logits)?);
            }
            live = still;
        }
        Ok(())
    }

    fn advanced(&mut self, tokens: usize) -> Result<(), BackendError> {
        if self.sink.advanced(tokens).is_break() { Err(BackendError::Cancelled) } else { Ok(()) }
    }

    /// Chooses a sample's next token. Gives the sample back if it goes on.
    fn go_on(&mut self, mut sample: Sample, logits: &[f32]) -> Result<Option<Sample>, BackendError> {
        let end = reading::end_of_turn(self.model);
        let allowed = self.prepared.trie.as_ref().map(|trie| trie.allowed(sample.position));
        let choice = sample.sampler.choose_allowed(logits, allowed, end);
        if choice.token == end {
            let finish = match self.prepared.trie {
                Some(_) => Finish::Stop,
                None => Finish::EndOfTurn,
            };
            let text = reading::text(self.model, &sample.tokens);
            return self.complete(sample, text, finish);
        }
        self.reader.count(|usage| usage.generated += 1);
        sample.tokens.push(choice.token);
        sample.log_probs.push(choice.log_prob);
        let complete = self.prepared.trie.as_ref().is_some_and(|trie| {
            // Only tokens that may follow are chosen.
            sample.position = trie.advance(sample.position, choice.token).unwrap_or_default();
            trie.allowed(sample.position) == Allowed::Complete
        });
        let full = sample.tokens.len() >= self.prepared.limit;
        if !complete && !full && self.request.stop.is_empty() {
            return Ok(Some(sample));
        }
        let text = reading::text(self.model, &sample.tokens);
        let stops = self.request.stop.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
            return self.complete(sample, text[..at].to_owned(), Finish::Stop);
        }
        if complete {
            return self.complete(sample, text, Finish::Stop);
        }
        if full { self.complete(sample, text, self.prepared.at_limit) } else { Ok(Some(sample)) }
    }

    fn complete(
        &mut self,
        sample: Sample,
        text: String,
        finish: Finish,
    ) -> Result<Option<Sample>, BackendError> {
        let completion = Completion {
            request: self.index,
            sample: sample.number,
            text,
            tokens: sample.tokens,
            log_probs: sample.log_probs,
            finish,
        };
        if self.sink.completed(completion).is_break() { Err(BackendError::Cancelled) } else { Ok(None) }
    }
}
