//! The transformer as a [`Backend`].

mod generate;
mod reader;
mod score;
mod settings;

use std::{ops::ControlFlow, path::Path};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, Grammars, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Tokenizer, Usage,
};
use lancer_model::Model;

use self::reader::Reader;
pub use self::settings::{BurnSettings, Weights};
use crate::{
    device::DeviceInUse,
    reading::Reading,
    transformer::{Trained, Transformer},
};

/// A loaded model that generates and scores.
pub struct BurnBackend {
    model: Model,
    grammars: Grammars,
    reader: Reader,
    settings: BurnSettings,
    _device: DeviceInUse,
}

impl BurnBackend {
    /// Loads a GGUF file or a Hugging Face folder, or an adapter with the base that it names. Quantised weights become those of
    /// the settings.
    pub fn load(path: &Path, settings: &BurnSettings) -> Result<Self, BackendError> {
        let model = Model::open(path)
            .map_err(|error| BackendError::Load { path: path.into(), source: error.into() })?;
        Self::over(model, settings)
    }

    /// Runs an open model, an adapter that it has merged into its weights.
    pub fn over(model: Model, settings: &BurnSettings) -> Result<Self, BackendError> {
        let path = model.path().to_owned();
        let failed = |source| BackendError::Load { path: path.clone(), source };
        let device = settings.device.open().map_err(|error| failed(error.into()))?;
        settings.device.check_weights(settings.weights).map_err(|error| failed(error.into()))?;
        let transformer = Transformer::load(&model, &Trained::None(settings.weights), &device)
            .map_err(|error| failed(error.into()))?;
        Ok(Self::new(model, transformer, settings))
    }

    /// A model with these weights.
    pub(crate) fn new(model: Model, transformer: Transformer, settings: &BurnSettings) -> Self {
        let device = DeviceInUse(transformer.device());
        let (grammars, reader) = (Grammars::default(), Reader::new(transformer, settings.weights));
        Self { model, grammars, reader, settings: *settings, _device: device }
    }
}

impl Backend for BurnBackend {
    fn info(&self) -> ModelInfo {
        let transformer = self.reader.transformer();
        let name = self.model.path().file_stem().unwrap_or_default();
        ModelInfo {
            engine: "burn".into(),
            name: name.to_string_lossy().into_owned(),
            format: self.settings.weights.format().into(),
            parameters: transformer.size(),
            vocabulary: transformer.config.vocab_size,
            context_length: self.settings.context_length(transformer.config.context_length),
        }
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        Reading { model: &self.model, grammars: &self.grammars }.prompt(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        Ok(self.model.tokenizer().decode(&ids))
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        let reading = Reading { model: &self.model, grammars: &self.grammars };
        generate::generate(reading, &mut self.reader, self.settings, requests, sink)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        let reading = Reading { model: &self.model, grammars: &self.grammars };
        score::score(reading, &mut self.reader, self.settings, requests, sink)
    }

    fn forget(&mut self) {
        self.reader.forget_prompt();
    }
}
