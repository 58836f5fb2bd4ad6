//! The trait of an engine that trains a model.

use std::{any::Any, ops::Range, path::Path};

use lancer_core::Conversation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LearnerError, TokenId};

/// One sequence of a training batch: tokens, and which of them are trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSequence {
    /// All tokens, without padding.
    pub tokens: Vec<TokenId>,
    /// The places of the trained tokens: ranges that are not empty, ascending and apart from each other, the first of which
    /// does not begin with the first token.
    pub trained: Vec<Range<usize>>,
}

impl TrainingSequence {
    /// A prompt of so many tokens, and the tokens after it, all of which are trained on.
    pub fn after_prompt(tokens: Vec<TokenId>, prompt_length: usize) -> Self {
        let trained = prompt_length..tokens.len();
        Self { trained: if trained.is_empty() { Vec::new() } else { vec![trained] }, tokens }
    }

    /// Number of tokens before the first that is trained on; of all where none is.
    pub fn prompt_length(&self) -> usize {
        self.trained.first().map_or(self.tokens.len(), |first| first.start)
    }

    /// The places of the tokens whose log-probabilities the forward pass gives, ascending.
    pub fn target_places(&self) -> impl Iterator<Item = usize> + '_ {
        self.trained.iter().cloned().flatten()
    }

    /// The tokens whose log-probabilities the forward pass gives.
    pub fn targets(&self) -> impl Iterator<Item = TokenId> + '_ {
        self.trained.iter().flat_map(|range| &self.tokens[range.clone()]).copied()
    }

    /// Number of [`targets`](Self::targets).
    pub fn target_count(&self) -> usize {
        self.trained.iter().map(ExactSizeIterator::len).sum()
    }

    /// Cuts the sequence after `length` tokens, and after the last of these that is trained on.
    pub fn truncate(&mut self, length: usize) {
        self.trained.retain(|range| range.start < length);
        if let Some(last) = self.trained.last_mut() {
            last.end = last.end.min(length);
        }
        self.tokens.truncate(self.trained.last().map_or(length, |last| last.end));
    }

    /// Checks what a forward pass relies on: a target, none without a token before it, tokens within the vocabulary, a
    /// length within the context. `index` is the sequence's place in its batch.
    pub fn validate(
        &self,
        index: usize,
        vocabulary: usize,
        context_length: usize,
    ) -> Result<(), LearnerError> {
        let invalid = |reason| Err(LearnerError::InvalidSequence { sequence: index, reason });
        let mut end = 0;
        for range in &self.trained {
            if range.start == 0 {
                return invalid("it has no prompt; the first token cannot be predicted from nothing".into());
            }
            if range.is_empty() || range.start < end || range.end > self.tokens.len() {
                return invalid(format!(
                    "the trained places {} to {} are none, or not after the ones before, or not within its {} tokens",
                    range.start,
                    range.end,
                    self.tokens.len()
                ));
            }
            end = range.end;
        }
        if end == 0 {
            return invalid("it has no target".into());
        }
        if self.tokens.len() > context_length {
            return invalid(format!(
                "its {} tokens do not fit into the context of {context_length}",
                self.tokens.len()
            ));
        }
        match self.tokens.iter().find(|token| token.0 as usize >= vocabulary) {
            Some(token) => invalid(format!("token {} is outside the vocabulary of {vocabulary}", token.0)),
            None => Ok(()),
        }
    }
}

/// Which of a conversation's turns are trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainedTurns {
    /// The last turn of the model, the response.
    #[default]
    Last,
    /// All turns of the model.
    All,
}

/// Checks that `weights` has the shape of the targets of `batch`, for implementations of [`Learner::backward`].
pub fn check_weights(batch: &[TrainingSequence], weights: &[Vec<f32>]) -> Result<(), LearnerError> {
    if batch.len() != weights.len() {
        return Err(LearnerError::InvalidBackward(format!(
            "weights for {} sequences, but the forward pass had {}",
            weights.len(),
            batch.len()
        )));
    }
    for (index, (sequence, weights)) in batch.iter().zip(weights).enumerate() {
        if sequence.target_count() != weights.len() {
            return Err(LearnerError::InvalidBackward(format!(
                "{} weights for sequence {index}, which has {} targets",
                weights.len(),
                sequence.target_count()
            )));
        }
    }
    Ok(())
}

/// What one optimizer step uses: AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) after gradient clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSettings {
    /// The learning rate of this step, warm-up and decay already applied.
    pub learning_rate: f64,
    /// Decay rate of the first moment.
    pub beta_1: f64,
    /// Decay rate of the second moment.
    pub beta_2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled weight decay, on matrices only (not on biases and norms).
    pub weight_decay: f64,
    /// The gradient is scaled down to this L2 norm over all weights where it is larger; `None` leaves it.
    pub max_gradient_norm: Option<f64>,
}

impl Default for StepSettings {
    fn default() -> Self {
        Self {
            learning_rate: 1e-5,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_gradient_norm: Some(1.0),
        }
    }
}

/// What an optimizer step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Number of steps made, this one included.
    pub step: u64,
    /// L2 norm of the gradient over all trained weights, before clipping.
    pub gradient_norm: f64,
}

/// How weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats (Hugging Face folder) or 16-bit floats (GGUF).
    Half,
    /// Blocks of 32 8-bit integers with a common scale (GGUF only).
    Q8_0,
}

/// A model that can be trained.
///
/// One primitive carries every loss. [`forward`](Self::forward) gives the log-probabilities of the targets and keeps
/// what the backward pass needs; the caller computes its loss and the derivative of the loss by each log-probability;
/// [`backward`](Self::backward) adds the gradient of the sum of derivative × log-probability to what it has
/// accumulated; [`step`](Self::step) descends along it.
///
/// It is [`Any`], so that who knows its engine gets the learner itself back.
pub trait Learner: Any {
    /// The longest sequence that can be trained on.
    fn context_length(&self) -> usize;

    /// The training sequence of a conversation whose last turn is the model's.
    ///
    /// With [`TrainedTurns::Last`] and a last turn that is text alone: the turns before, rendered with the model's chat
    /// template and the model's turn opened, then the text and the end-of-turn token as targets. The tokens are those that a
    /// [`Backend`](crate::Backend) reads for the same chat and a closed continuation. A turn with thoughts or calls of tools
    /// is rendered by the template, and its targets are what the template writes for it, to the end of the turn.
    ///
    /// With [`TrainedTurns::All`] the targets are those of each of the model's turns: what the template marks as generated,
    /// or where it marks nothing, what it writes for the turn.
    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError>;

    /// Log-probabilities of the targets of each sequence, in natural logarithm, without dropout and without keeping
    /// anything for a backward pass.
    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError>;

    /// Log-probabilities as from [`log_probs`](Self::log_probs), with dropout where it is set, keeping what
    /// [`backward`](Self::backward) needs. A second call forgets the first.
    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError>;

    /// Adds to the gradient that of `Σ weights[s][t] · log_prob[s][t]`, the weights being the derivatives of the loss
    /// by the log-probabilities that [`forward`](Self::forward) gave, in the same shape.
    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError>;

    /// The L2 norm of the accumulated gradient over all trained weights, which may be infinite or no number. The gradient
    /// stays.
    fn gradient_norm(&mut self) -> Result<f64, LearnerError>;

    /// Forgets the accumulated gradient and the last forward pass: as after a step, but the weights stay.
    fn clear_gradient(&mut self);

    /// One AdamW step against the accumulated gradient, which is then zero.
    ///
    /// # Errors
    /// [`LearnerError::NotFinite`] where the gradient is not finite. Weights, moments and the number of steps are then what
    /// they were, and the gradient is zero.
    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError>;

    /// Writes all that training needs to go on to the same weights, bit for bit: trained weights, optimizer state,
    /// number of steps, random state. The folder is whole or absent, never half-written. The accumulated gradient is
    /// not part of it.
    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError>;

    /// Goes back to a checkpoint of the same model and settings.
    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError>;

    /// Writes the model, adapters merged: to a GGUF file if `path` ends in `.gguf`, otherwise to a Hugging Face folder
    /// (`config.json`, `model.safetensors`, tokenizer and chat template).
    fn export(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError>;

    /// Writes what was trained. Where that is an adapter, the adapter alone and a note of its base: as a GGUF adapter if `path`
    /// ends in `.gguf`, otherwise as a folder in PEFT's layout. Where it is the model, the model ([`export`](Self::export)).
    fn export_trained(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
        self.export(path, format)
    }
}
