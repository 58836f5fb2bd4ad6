//! The trait of an engine that runs a model.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::{
    BackendError, CompletionSink, GenerateRequest, Prompt, ScoreRequest, ScoredContinuation, TokenId,
};

/// What an engine says of the model it has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The engine's name, as on the command line, such as `llama-cpp`.
    pub engine: String,
    /// The model's name from its file, or the file's name.
    pub name: String,
    /// How the weights are held, such as `Q8_0` or `F32`.
    pub format: String,
    /// Number of weights.
    pub parameters: u64,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// The longest sequence, prompt and continuation together, that this engine accepts.
    pub context_length: usize,
}

/// What a call has computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt and continuation tokens that went through the model to be read.
    pub read: u64,
    /// Prompt tokens that did not have to be computed, since an earlier sample or request began alike.
    pub reused: u64,
    /// Tokens that were generated.
    pub generated: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.reused += other.reused;
        self.generated += other.generated;
    }
}

/// A loaded model that generates and scores.
pub trait Backend {
    /// What is loaded.
    fn info(&self) -> ModelInfo;

    /// The tokens of a prompt, as [`generate`](Self::generate) and [`score`](Self::score) would read it.
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError>;

    /// The text of `tokens`, special tokens left out; bytes that are not UTF-8 become U+FFFD.
    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError>;

    /// Draws every sample of every request, handing each to `sink` as it ends, in any order.
    ///
    /// A request that cannot be run (a prompt longer than the context, a choice that cannot be written) fails the
    /// call before anything is generated, with its index in the error. A request without seeds gives nothing.
    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError>;

    /// Scores every continuation of every request.
    ///
    /// `sink` is called once for each request, in any order, with the request's index and its continuations in their
    /// order; `Break` cancels the call. Requests that begin alike should stand next to each other.
    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError>;

    /// Forgets what earlier calls have read, so that the next call computes what it would compute right after loading, to
    /// the last bit, with the same [`Usage`].
    ///
    /// A prompt that an engine keeps from the last call saves time, and changes how the rest is cut into steps, and with
    /// it the rounding. A caller that wants the same numbers again calls this first. An engine that keeps nothing between
    /// calls has nothing to do.
    fn forget(&mut self) {}
}
