//! A model that one engine runs to write and another one to score.

use std::ops::ControlFlow;

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Usage,
};

/// Two engines that have the same model.
pub(super) struct ScoredElsewhere {
    pub(super) written: Box<dyn Backend>,
    pub(super) scored: Box<dyn Backend>,
}

impl Backend for ScoredElsewhere {
    fn info(&self) -> ModelInfo {
        let (info, other) = (self.written.info(), self.scored.info());
        ModelInfo { context_length: info.context_length.min(other.context_length), ..info }
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        self.written.tokenize(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        self.written.detokenize(tokens)
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        self.written.generate(requests, sink)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        self.scored.score(requests, sink)
    }

    fn forget(&mut self) {
        self.written.forget();
        self.scored.forget();
    }
}
