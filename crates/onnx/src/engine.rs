//! A model in ONNX Runtime as a [`Backend`].

mod batch;
mod cache;
mod decoder;
mod files;
mod generate;
mod interface;
mod library;
mod prompt;
mod provider;
mod score;
mod settings;
mod vocabulary;

use std::{error::Error, ops::ControlFlow, path::Path};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Tokenizer, Usage,
};

use self::{decoder::Decoder, files::Files, prompt::ReadPrompt, vocabulary::Vocabulary};
pub use self::{
    files::is_onnx,
    library::{LIBRARY_VARIABLE, LibraryError},
    provider::Provider,
    settings::OnnxSettings,
};

/// The engine's name.
const ENGINE: &str = "onnx";

/// A model loaded in ONNX Runtime.
pub struct OnnxRuntime {
    // Before the session whose memory its cache is kept in.
    prompt: ReadPrompt,
    decoder: Decoder,
    vocabulary: Vocabulary,
    settings: OnnxSettings,
    info: ModelInfo,
}

impl OnnxRuntime {
    /// Loads a folder as [`export`](crate::export) or Hugging Face Optimum writes it, or one `.onnx` file in such a folder
    /// (or in its subfolder `onnx`), for a folder that has several.
    ///
    /// # Errors
    /// [`BackendError::Load`] where no ONNX Runtime is found, where the folder has no model or more than one, or where
    /// the model is not a decoder with a cache.
    pub fn load(path: &Path, settings: &OnnxSettings) -> Result<Self, BackendError> {
        let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: path.into(), source };
        let files = Files::find(path).map_err(|error| failed(error.into()))?;
        // The model before the tokenizer: memory that one takes and gives back makes glibc keep what the other gives back, a
        // third of a model of 32-bit floats, which slows the loading too.
        let environment = library::environment().map_err(|error| failed(error.into()))?;
        let mut decoder = Decoder::load(environment, &files.model, settings).map_err(failed)?;
        let vocabulary =
            Vocabulary::load(&files.folder, files.vocabulary).map_err(|error| failed(error.into()))?;
        let info = ModelInfo {
            engine: ENGINE.into(),
            name: files.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            format: decoder.interface().weight_format.clone(),
            parameters: decoder.interface().parameters,
            vocabulary: files.vocabulary,
            context_length: files.context_length.min(settings.cache_tokens.get() as usize),
        };
        let prompt = ReadPrompt::new(&mut decoder).map_err(|error| failed(error.into()))?;
        Ok(Self { prompt, decoder, vocabulary, settings: *settings, info })
    }
}

impl Backend for OnnxRuntime {
    fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        self.vocabulary.prompt(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        Ok(self.vocabulary.text(tokens))
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        generate::generate(self, requests, sink)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        score::score(self, requests, sink)
    }

    fn forget(&mut self) {
        self.prompt.forget();
    }
}

/// For `map_err` on what ONNX Runtime returns.
fn engine_error(action: impl Into<String>) -> impl FnOnce(ort::Error) -> BackendError {
    let action = action.into();
    move |error| BackendError::Engine { engine: ENGINE, action, source: error.into() }
}
