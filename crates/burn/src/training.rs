//! The transformer as a [`Learner`].

mod activations;
mod adamw;
mod adapter;
#[cfg(test)]
mod against_pytorch;
mod checkpoint;
mod encoding;
mod export;
mod gradients;
mod packed;
mod saved;

use std::path::Path;

use burn::tensor::Tensor;
use lancer_backend::{
    BackendError, Conversation, Learner, LearnerError, StepReport, StepSettings, TrainedTurns,
    TrainingSequence, WeightFormat, check_weights,
};
use lancer_model::Model;

use self::{adamw::AdamW, gradients::Gradients, packed::Packed, saved::Saved};
use crate::{
    BurnBackend, BurnSettings,
    device::DeviceInUse,
    numbers::matrix,
    settings::{Products, TrainSettings},
    transformer::{Dropping, Trained, Transformer},
};

/// A model being trained.
///
/// Trained weights, their gradients and the optimizer's two moments are 32-bit floats: full fine-tuning takes 16 bytes a
/// weight beside the activations, adapters 16 bytes for each of theirs and the frozen weights as many as they have in their
/// file.
pub struct BurnLearner {
    /// Its files: tokenizer, template, and all that an export takes over.
    model: Model,
    transformer: Transformer,
    settings: TrainSettings,
    optimizer: AdamW,
    gradients: Gradients,
    /// Number of forward passes made: each has dropout of its own.
    passes: u64,
    last: Option<LastPass>,
    fingerprint: String,
    device: DeviceInUse,
}

/// The forward pass that a backward pass may follow.
struct LastPass {
    batch: Vec<TrainingSequence>,
    packed: Packed,
    head: HeadPass,
    saved: Saved,
}

/// The part of a pass that went through the head.
enum HeadPass {
    /// The head is trained: the states of the rows that predict targets, `[targets, hidden]`, and `ln Σ exp(logit)` of
    /// each.
    Trained { states: Tensor<2>, normalisers: Vec<f32> },
    /// It is not: the derivative of each log-probability by its state, `[targets, hidden]`.
    Frozen { derivative: Tensor<2> },
}

impl BurnLearner {
    /// Loads a GGUF file or a Hugging Face folder, or an adapter with the base that it names.
    pub fn load(path: &Path, settings: &TrainSettings) -> Result<Self, LearnerError> {
        let failed = |source| LearnerError::Load { path: path.into(), source };
        settings.validate().map_err(|error| failed(error.into()))?;
        Self::over(Model::open(path).map_err(|error| failed(error.into()))?, settings)
    }

    /// A learner of an open model.
    ///
    /// Where adapters are trained, the model's own weights stay as they are in its file, mapped into memory (on the
    /// processor, unless they are 32-bit floats), and an adapter that it has is trained on. Where the whole model is, weights
    /// become 32-bit floats, with the model's adapter merged.
    pub fn over(model: Model, settings: &TrainSettings) -> Result<Self, LearnerError> {
        let path = model.path().to_owned();
        let failed = |source| LearnerError::Load { path: path.clone(), source };
        settings.validate().map_err(|error| failed(error.into()))?;
        if let (Some(lora), Some(adapter)) = (settings.adapters(), model.adapter()) {
            adapter::check_settings(adapter, lora).map_err(|error| failed(error.into()))?;
        }
        let device = settings.device.open().map_err(|error| failed(error.into()))?;
        if settings.products == Products::Bf16 {
            settings.device.check_bf16(&device).map_err(|error| failed(error.into()))?;
        }
        let trained = match settings.adapters() {
            Some(lora) => Trained::Adapters(lora, settings.seed),
            None => Trained::All,
        };
        let transformer =
            Transformer::load(&model, &trained, &device).map_err(|error| failed(error.into()))?;
        Ok(Self {
            optimizer: AdamW::new(&transformer.parameters()),
            gradients: Gradients::new(transformer.parameters().len()),
            fingerprint: checkpoint::fingerprint(&transformer),
            passes: 0,
            last: None,
            settings: settings.clone(),
            model,
            transformer,
            device: DeviceInUse(device),
        })
    }

    /// The model as it is now, ready to run where it was trained: the same weights, or the base with the adapters merged. What
    /// training needed is freed. `settings` say how it is run, but not on which device.
    ///
    /// # Errors
    /// [`BackendError::Load`] where the device cannot run such weights, or the base cannot be read again.
    pub fn into_backend(self, settings: &BurnSettings) -> Result<BurnBackend, BackendError> {
        let running = BurnSettings { device: self.settings.device, ..*settings };
        let path = self.model.path().to_owned();
        let failed = |source| BackendError::Load { path: path.clone(), source };
        running.device.check_weights(running.weights).map_err(|error| failed(error.into()))?;
        let Self { model, transformer, optimizer, gradients, last, settings, .. } = self;
        // Before the weights are merged and turned, which takes memory.
        drop((optimizer, gradients, last));
        let Some(lora) = settings.adapters() else {
            return Ok(BurnBackend::new(model, transformer.for_inference(running.weights), &running));
        };
        // As the adapter would be loaded from its file, so that a run that is gone on with computes the same.
        let adapter = adapter::trained(&transformer, lora);
        drop(transformer);
        let model = model.adapted(adapter).map_err(|error| failed(error.into()))?;
        BurnBackend::over(model, &running)
    }

    /// The settings it was loaded with.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// Number of weights, without adapters.
    pub fn weights(&self) -> u64 {
        self.transformer.size()
    }

    /// Number of weights that are trained.
    pub fn trained_weights(&self) -> u64 {
        let trained = self.transformer.parameters().into_iter().filter(|parameter| parameter.is_trained());
        trained.map(|parameter| parameter.size() as u64).sum()
    }

    fn validate(&self, batch: &[TrainingSequence]) -> Result<(), LearnerError> {
        let config = &self.transformer.config;
        batch.iter().enumerate().try_for_each(|(index, sequence)| {
            sequence.validate(index, config.vocab_size, config.context_length)
        })
    }

    fn dropping(&self) -> Dropping {
        match self.settings.adapters() {
            Some(lora) if lora.dropout > 0.0 => {
                Dropping::Under(self.settings.seed.derive(&format!("dropout of pass {}", self.passes)))
            }
            _ => Dropping::Never,
        }
    }
}

impl Learner for BurnLearner {
    fn context_length(&self) -> usize {
        self.transformer.config.context_length
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        encoding::encode(&self.model, chat, turns)
    }

    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        self.validate(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let packed = Packed::new(batch);
        let states = saved::without_graph(&self.transformer, &packed, self.settings.products);
        let scored = self.transformer.head().score(&states, &packed.targets);
        Ok(packed.by_sequence(scored.iter().map(|scored| scored.log_prob)))
    }

    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        self.last = None;
        self.validate(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let packed = Packed::new(batch);
        let (saved, states) = Saved::forward(&self.transformer, &packed, &self.settings, self.dropping());
        self.passes += 1;
        let head = self.transformer.head();
        let (scored, head) = if self.transformer.head_is_trained() {
            let scored = head.score(&states, &packed.targets);
            let normalisers = scored.iter().map(|scored| scored.normaliser).collect();
            (scored, HeadPass::Trained { states, normalisers })
        } else {
            let (scored, derivative) =
                head.score_with_derivative(&states, &packed.targets, self.settings.products);
            (scored, HeadPass::Frozen { derivative })
        };
        let log_probs = packed.by_sequence(scored.iter().map(|scored| scored.log_prob));
        self.last = Some(LastPass { batch: batch.to_vec(), packed, head, saved });
        Ok(log_probs)
    }

    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError> {
        if weights.is_empty() && self.last.is_none() {
            return Ok(());
        }
        let last = self.last.take().ok_or_else(|| {
            LearnerError::InvalidBackward("no forward pass came before, or it failed".into())
        })?;
        check_weights(&last.batch, weights)?;
        let weights: Vec<f32> = weights.concat();
        let by_states = match last.head {
            HeadPass::Trained { states, normalisers } => {
                let head = self.transformer.head();
                let found = head.backward(
                    &states,
                    &last.packed.targets,
                    &normalisers,
                    &weights,
                    self.settings.products,
                );
                self.gradients.add(self.transformer.head_index(), found.weight);
                found.states
            }
            HeadPass::Frozen { derivative } => {
                let rows = weights.len();
                derivative * matrix(weights, [rows, 1], &self.device.0)
            }
        };
        let by_embeddings = last.saved.backward(&self.transformer, by_states, &mut self.gradients);
        if let Some(mut by_embeddings) = by_embeddings {
            if let Some(scale) = self.transformer.config.embedding_scale() {
                by_embeddings = by_embeddings * scale;
            }
            let vocabulary = self.transformer.config.vocab_size;
            self.gradients.add_to_rows(0, vocabulary, &last.packed.tokens, &by_embeddings);
        }
        Ok(())
    }

    fn gradient_norm(&mut self) -> Result<f64, LearnerError> {
        Ok(self.gradients.norm())
    }

    fn clear_gradient(&mut self) {
        self.last = None;
        self.gradients.clear();
    }

    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError> {
        // A graph that is still there holds the weights.
        self.last = None;
        let gradients = self.gradients.take();
        self.optimizer.step(self.transformer.parameters_mut(), gradients, settings)
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError> {
        checkpoint::save(self, folder)
    }

    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError> {
        checkpoint::load(self, folder)
    }

    fn export(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
        export::export(self, path, format)
    }

    fn export_trained(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
        match self.settings.adapters() {
            None => self.export(path, format),
            Some(lora) => adapter::export(self, lora, path),
        }
    }
}
