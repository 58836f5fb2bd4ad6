//! A sample while it is written: one way for all engines to choose its tokens and to see that it has ended. For
//! implementations of [`Backend::generate`](crate::Backend::generate).

use crate::{
    Allowed, Choice, Completion, Finish, GenerateRequest, PreparedRequest, Sampler, StreamState, TextStream,
    TokenId, Tokenizer, TriePosition,
};

/// A sample while it is written.
#[derive(Debug, Clone)]
pub struct Sample {
    request: usize,
    number: usize,
    sampler: Sampler,
    stream: TextStream,
    position: TriePosition,
    tokens: Vec<TokenId>,
    log_probs: Vec<f32>,
}

impl Sample {
    /// Sample `number` of `asked`, which is the request `request` of its call; without tokens yet.
    pub fn new(asked: &GenerateRequest, request: usize, number: usize) -> Self {
        Self {
            request,
            number,
            sampler: Sampler::new(asked.sampling, asked.seeds[number]),
            stream: TextStream::new(&asked.stop),
            position: TriePosition::default(),
            tokens: Vec::new(),
            log_probs: Vec::new(),
        }
    }

    /// The index of its request in the call.
    pub fn request(&self) -> usize {
        self.request
    }

    /// The tokens written so far.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Chooses the next token, for [`accept`](Self::accept). `logits` is `[vocabulary]`; `prepared` is its request.
    pub fn choose(&mut self, prepared: &PreparedRequest, logits: &[f32], end_of_turn: TokenId) -> Choice {
        let allowed = prepared.trie.as_ref().map(|trie| trie.allowed(self.position));
        self.sampler.choose_allowed(logits, allowed, end_of_turn)
    }

    /// Adds a chosen token. Why the sample ends with it, or `None` where it goes on.
    pub fn accept(
        &mut self,
        prepared: &PreparedRequest,
        choice: Choice,
        tokenizer: &dyn Tokenizer,
    ) -> Option<Finish> {
        if tokenizer.ends(choice.token) {
            return Some(if prepared.trie.is_some() { Finish::Stop } else { Finish::EndOfTurn });
        }
        self.tokens.push(choice.token);
        self.log_probs.push(choice.log_prob);
        let stopped = self.stream.push(&tokenizer.bytes(choice.token)) == StreamState::Stopped;
        let complete = prepared.trie.as_ref().is_some_and(|trie| {
            // Only tokens that may follow are chosen.
            self.position = trie.advance(self.position, choice.token).unwrap_or_default();
            trie.allowed(self.position) == Allowed::Complete
        });
        if stopped || complete {
            return Some(Finish::Stop);
        }
        (self.tokens.len() >= prepared.limit).then_some(prepared.at_limit)
    }

    /// What the sample has become.
    pub fn complete(self, finish: Finish) -> Completion {
        Completion {
            request: self.request,
            sample: self.number,
            text: self.stream.into_text(),
            tokens: self.tokens,
            log_probs: self.log_probs,
            finish,
        }
    }
}
