//! A sample while it is written: one way for all engines to choose its tokens and to see that it has ended. For
//! implementations of [`Backend::generate`](crate::Backend::generate).

use std::error::Error;

use crate::{
    Allowed, BackendError, Choice, Completion, CompletionSink, Finish, GenerateRequest, GrammarPosition,
    Held, PreparedRequest, Sampler, StreamState, TextStream, TokenId, Tokenizer, TriePosition,
};

/// A sample while it is written.
#[derive(Debug, Clone)]
pub struct Sample {
    request: usize,
    number: usize,
    sampler: Sampler,
    stream: TextStream,
    place: Place,
    tokens: Vec<TokenId>,
    log_probs: Vec<f32>,
}

/// Where a sample stands in what it is held to.
#[derive(Debug, Clone)]
enum Place {
    Free,
    Choice(TriePosition),
    Grammar {
        position: GrammarPosition,
        /// What may follow, once it has been asked for.
        allowed: Option<Allowed>,
    },
}

impl Sample {
    /// Sample `number` of `asked`, which is the request `request` of its call and was prepared as `prepared`; without
    /// tokens yet.
    pub fn new(asked: &GenerateRequest, prepared: &PreparedRequest, request: usize, number: usize) -> Self {
        let place = match &prepared.held {
            Held::Free => Place::Free,
            Held::Choices(_) => Place::Choice(TriePosition::default()),
            Held::Grammar(beginning) => Place::Grammar { position: beginning.clone(), allowed: None },
        };
        Self {
            request,
            number,
            sampler: Sampler::new(asked.sampling, asked.seeds[number])
                .with_penalties(&asked.penalties, &prepared.prompt),
            stream: TextStream::new(&asked.stop),
            place,
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
    ///
    /// # Errors
    /// [`BackendError::Engine`] where a grammar cannot be followed any further.
    pub fn choose(
        &mut self,
        prepared: &PreparedRequest,
        logits: &[f32],
        end_of_turn: TokenId,
    ) -> Result<Choice, BackendError> {
        let allowed = match (&mut self.place, &prepared.held) {
            (Place::Choice(position), Held::Choices(trie)) => Some(trie.allowed(*position)),
            (Place::Grammar { position, allowed }, _) => match allowed.take() {
                Some(allowed) => Some(allowed),
                None => Some(position.allowed().map_err(lost)?),
            },
            _ => None,
        };
        Ok(self.sampler.choose_allowed(logits, allowed, end_of_turn))
    }

    /// Adds a chosen token. Why the sample ends with it, or `None` where it goes on.
    ///
    /// # Errors
    /// [`BackendError::Engine`] where a grammar cannot be followed any further.
    pub fn accept(
        &mut self,
        prepared: &PreparedRequest,
        choice: Choice,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Option<Finish>, BackendError> {
        if tokenizer.ends(choice.token) {
            let free = matches!(self.place, Place::Free);
            return Ok(Some(if free { Finish::EndOfTurn } else { Finish::Stop }));
        }
        self.sampler.wrote(choice.token);
        self.tokens.push(choice.token);
        self.log_probs.push(choice.log_prob);
        let stopped = self.stream.push(&tokenizer.bytes(choice.token)) == StreamState::Stopped;
        let complete = match (&mut self.place, &prepared.held) {
            (Place::Choice(position), Held::Choices(trie)) => {
                // Only tokens that may follow are chosen.
                *position = trie.advance(*position, choice.token).unwrap_or_default();
                trie.allowed(*position) == Allowed::Complete
            }
            (Place::Grammar { position, allowed }, _) => {
                position.advance(choice.token).map_err(lost)?;
                let next = position.allowed().map_err(lost)?;
                let complete = next == Allowed::Complete;
                *allowed = Some(next);
                complete
            }
            _ => false,
        };
        if stopped || complete {
            return Ok(Some(Finish::Stop));
        }
        Ok((self.tokens.len() >= prepared.limit).then_some(prepared.at_limit))
    }

    /// Adds a chosen token as [`accept`](Self::accept) does, counts it in `generated`, and hands the sample to `sink` where
    /// it ends. Gives the sample back if it goes on.
    ///
    /// # Errors
    /// [`BackendError::Cancelled`] where the sink breaks, and those of [`accept`](Self::accept).
    pub fn go_on(
        mut self,
        prepared: &PreparedRequest,
        choice: Choice,
        tokenizer: &dyn Tokenizer,
        generated: &mut u64,
        sink: &mut dyn CompletionSink,
    ) -> Result<Option<Self>, BackendError> {
        let before = self.tokens.len();
        let finish = self.accept(prepared, choice, tokenizer)?;
        *generated += (self.tokens.len() - before) as u64;
        match finish {
            None => Ok(Some(self)),
            Some(finish) if sink.completed(self.complete(finish)).is_break() => Err(BackendError::Cancelled),
            Some(_) => Ok(None),
        }
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

/// For `map_err` on what llguidance returns.
fn lost(source: Box<dyn Error + Send + Sync>) -> BackendError {
    BackendError::Engine { engine: "llguidance", action: "following a grammar".into(), source }
}
