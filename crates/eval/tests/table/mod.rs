//! An engine that gives continuations the log-probabilities of a table.

use std::{collections::HashMap, ops::ControlFlow};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Usage, scripted::ScriptedBackend,
};

/// Gives each continuation the log-probabilities of a table, keeps what it was asked, and has a short context.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) log_probs: HashMap<String, Vec<f32>>,
    pub(crate) asked: Vec<ScoreRequest>,
    pub(crate) longest: Option<usize>,
}

impl Table {
    pub(crate) fn new(entries: &[(&str, &[f32])]) -> Self {
        let log_probs =
            entries.iter().map(|(text, log_probs)| ((*text).to_owned(), log_probs.to_vec())).collect();
        Self { log_probs, ..Self::default() }
    }
}

impl Backend for Table {
    fn info(&self) -> ModelInfo {
        ScriptedBackend::new(|_, _| String::new()).info()
    }

    fn tokenize(&self, _: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        Ok(Vec::new())
    }

    fn detokenize(&self, _: &[TokenId]) -> Result<String, BackendError> {
        Ok(String::new())
    }

    fn generate(&mut self, _: &[GenerateRequest], _: &mut dyn CompletionSink) -> Result<Usage, BackendError> {
        unreachable!("nothing is generated here")
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        self.asked.extend_from_slice(requests);
        if let Some(request) = self.longest {
            return Err(BackendError::TooLong { request, tokens: 900, context_length: 512 });
        }
        // From the last to the first: the order is the engine's.
        for (index, request) in requests.iter().enumerate().rev() {
            let scored = request.continuations.iter().map(|continuation| {
                let log_probs = self.log_probs[continuation.text.as_str()].clone();
                let tokens = vec![TokenId(1); log_probs.len()];
                ScoredContinuation { tokens, log_probs, is_greedy: false }
            });
            if sink(index, scored.collect()).is_break() {
                return Err(BackendError::Cancelled);
            }
        }
        Ok(Usage { read: 7, ..Usage::default() })
    }
}
