//! Loading a model, and the engine itself.

use std::{
    error::Error,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Tokenizer, Usage,
};
use lancer_model::gguf::GgufFile;
use llama_cpp_2::model::LlamaModel;

use crate::{
    cache::{Cache, Cached},
    context::{Loaded, cache_types, cached, context_parameters, library, model_parameters, open_context},
    error::{ENGINE, engine_error},
    generate,
    placement::{Needs, Placement, Shape, gpus, place},
    score,
    settings::LlamaCppSettings,
    vocabulary::{Reading, Vocabulary},
};

/// A model loaded in llama.cpp.
pub struct LlamaCpp {
    loaded: Loaded,
    vocabulary: Vocabulary,
    cached: Cached,
    info: ModelInfo,
    placement: Placement,
    path: PathBuf,
    settings: LlamaCppSettings,
}

impl LlamaCpp {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// [`BackendError::Load`] where the file is absent, no GGUF file, or of a kind that llama.cpp cannot run, or where the
    /// KV cache does not fit into memory, or where the settings are not valid.
    pub fn load(path: &Path, settings: &LlamaCppSettings) -> Result<Self, BackendError> {
        Self::load_with(path, None, settings)
    }

    /// Loads a GGUF file and a LoRA adapter in GGUF over it.
    ///
    /// # Errors
    /// As [`load`](Self::load), and where the adapter cannot be read or belongs to another base
    /// ([`LlamaCppAdapterError`]).
    pub fn load_adapted(
        path: &Path,
        adapter: &Path,
        settings: &LlamaCppSettings,
    ) -> Result<Self, BackendError> {
        Self::load_with(path, Some(adapter), settings)
    }

    /// The same base with another adapter, or with none. The base stays where it is; the cache is emptied.
    ///
    /// # Errors
    /// [`BackendError::Load`] where the adapter cannot be read or belongs to another base, or where there is no memory for a
    /// new context.
    pub fn with_adapter(self, adapter: Option<&Path>) -> Result<Self, BackendError> {
        let Self { loaded, vocabulary, info, placement, path, settings, .. } = self;
        let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: path.clone(), source };
        let file = GgufFile::open(&path).map_err(|error| failed(error.into()))?;
        let decided =
            settings.decide(info.format == "F32", gpus().len()).map_err(|error| failed(error.into()))?;
        let parameters = context_parameters(&settings, &decided, &placement);
        let loaded = open_context(loaded.into_owner(), &file, adapter, parameters).map_err(&failed)?;
        let cached = cached(&loaded, &settings, &decided);
        Ok(Self { loaded, vocabulary, cached, info, placement, path, settings })
    }

    /// Where the model's layers are computed.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    fn load_with(
        path: &Path,
        adapter: Option<&Path>,
        settings: &LlamaCppSettings,
    ) -> Result<Self, BackendError> {
        let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: path.into(), source };
        // Read first by a reader that says what is wrong: llama.cpp says only that it failed.
        let file = GgufFile::open(path).map_err(|error| failed(error.into()))?;
        file.check().map_err(|error| failed(error.into()))?;
        let format = format(&file);
        let library = library().map_err(|error| failed(error.into()))?;
        let gpus = gpus();
        let decided = settings.decide(format == "F32", gpus.len()).map_err(|error| failed(error.into()))?;
        let needs = Needs::of(
            &file,
            Shape::of(&file),
            settings.cache_tokens.get().into(),
            cache_types(&decided, !gpus.is_empty()).2,
            settings.step_tokens.get().into(),
        );
        let placement = place(&needs, &decided, &gpus);
        let model = LlamaModel::load_from_file(library, path, &model_parameters(&decided, &placement))
            .map_err(|error| failed(error.into()))?;
        let vocabulary = Vocabulary::new(&model)?;
        let parameters = context_parameters(settings, &decided, &placement);
        let loaded = open_context(model, &file, adapter, parameters).map_err(failed)?;
        let cached = cached(&loaded, settings, &decided);
        let model = loaded.borrow_owner();
        let info = ModelInfo {
            engine: ENGINE.into(),
            name: name(&file, path),
            format,
            parameters: model.n_params(),
            vocabulary: vocabulary.size(),
            context_length: cached.cells().min(model.n_ctx_train() as usize),
        };
        Ok(Self { loaded, vocabulary, cached, info, placement, path: path.into(), settings: *settings })
    }

    /// Runs a call on the cache, which is emptied of what a failed one left.
    fn call(
        &mut self,
        run: impl FnOnce(&mut Cache<'_, '_>, &LlamaModel, &Vocabulary) -> Result<(), BackendError>,
    ) -> Result<Usage, BackendError> {
        let Self { loaded, vocabulary, cached, .. } = self;
        loaded.with_dependent_mut(|model, context| {
            let mut cache = Cache::new(context, cached);
            let result = run(&mut cache, model, vocabulary);
            let usage = cache.finish(result.is_ok());
            result.map(|()| usage)
        })
    }
}

impl Backend for LlamaCpp {
    fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        Reading { model: self.loaded.borrow_owner(), vocabulary: &self.vocabulary }.prompt(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        let model = self.loaded.borrow_owner();
        // llama.cpp aborts the process over a token that it does not have.
        if let Some(token) = Prompt::Tokens(tokens.to_vec()).token_outside(self.vocabulary.size()) {
            let reason = format!("the vocabulary has only {} tokens", self.vocabulary.size());
            return Err(engine_error(format!("reading the text of token {}", token.0), reason));
        }
        let reading = Reading { model, vocabulary: &self.vocabulary };
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| reading.bytes(token)).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        let context_length = self.info.context_length;
        self.call(|cache, model, vocabulary| {
            generate::generate(cache, model, vocabulary, context_length, requests, sink)
        })
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        let context_length = self.info.context_length;
        self.call(|cache, model, vocabulary| {
            score::score(cache, model, vocabulary, context_length, requests, sink)
        })
    }

    fn forget(&mut self) {
        let Self { loaded, cached, .. } = self;
        loaded.with_dependent_mut(|_, context| cached.clear(context));
    }
}

fn name(file: &lancer_model::gguf::GgufFile, path: &Path) -> String {
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    file.metadata().text(path, "general.name").ok().flatten().map_or_else(stem, str::to_owned)
}

/// The storage type of most weights.
fn format(file: &GgufFile) -> String {
    let mut weights: Vec<(lancer_model::gguf::BlockFormat, usize)> = Vec::new();
    for tensor in file.tensors().values() {
        let count = tensor.shape.iter().product::<usize>();
        match weights.iter_mut().find(|(kind, _)| *kind == tensor.kind) {
            Some((_, sum)) => *sum += count,
            None => weights.push((tensor.kind, count)),
        }
    }
    weights
        .into_iter()
        .max_by_key(|&(_, count)| count)
        .map_or_else(String::new, |(kind, _)| format!("{kind:?}"))
}
