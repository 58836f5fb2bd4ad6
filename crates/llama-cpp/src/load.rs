//! Loading a model, and the engine itself.

use std::{error::Error, ops::ControlFlow, path::Path, sync::OnceLock};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Tokenizer, Usage,
};
use llama_cpp_2::{
    context::{
        LlamaContext,
        params::{KvCacheType, LlamaContextParams},
    },
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
};
use self_cell::self_cell;

use crate::{
    cache::{Cache, Cached},
    generate, score,
    settings::{Attention, LlamaCppSettings},
    vocabulary::{Reading, Vocabulary},
};

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED` and `_ENABLED` of llama.h.
const FLASH_ATTENTION_OFF: i32 = 0;
const FLASH_ATTENTION_ON: i32 = 1;

/// The engine's name.
const ENGINE: &str = "llama-cpp";

self_cell!(
    /// A model and the context that borrows it.
    struct Loaded {
        owner: LlamaModel,
        #[covariant]
        dependent: LlamaContext,
    }
);

/// A model loaded in llama.cpp.
pub struct LlamaCpp {
    loaded: Loaded,
    vocabulary: Vocabulary,
    cached: Cached,
    info: ModelInfo,
}

impl LlamaCpp {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// [`BackendError::Load`] where the file is absent, no GGUF file, or of a kind that llama.cpp cannot run, or where the
    /// KV cache does not fit into memory, or where the settings are not valid.
    pub fn load(path: &Path, settings: &LlamaCppSettings) -> Result<Self, BackendError> {
        let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: path.into(), source };
        // Read first by a reader that says what is wrong: llama.cpp says only that it failed.
        let file = lancer_model::gguf::GgufFile::open(path).map_err(|error| failed(error.into()))?;
        file.check().map_err(|error| failed(error.into()))?;
        let format = format(&file);
        let decided = settings.decide(format == "F32").map_err(|error| failed(error.into()))?;
        let library = library().map_err(|error| failed(error.into()))?;
        let model = LlamaModel::load_from_file(library, path, &LlamaModelParams::default())
            .map_err(|error| failed(error.into()))?;
        let vocabulary = Vocabulary::new(&model)?;
        let step_tokens = settings.step_tokens.get();
        let (flash_attention, keys, values) = match decided.attention {
            Attention::F32 => (FLASH_ATTENTION_OFF, KvCacheType::F32, KvCacheType::F32),
            Attention::Flash => (FLASH_ATTENTION_ON, KvCacheType::F16, KvCacheType::BF16),
        };
        let parameters = LlamaContextParams::default()
            .with_n_ctx(Some(settings.cache_tokens))
            // The trunk and the branches.
            .with_n_seq_max(decided.parallel + 1)
            .with_kv_unified(true)
            .with_n_batch(step_tokens)
            .with_n_ubatch(step_tokens)
            .with_n_threads(decided.threads)
            .with_n_threads_batch(decided.threads)
            .with_flash_attention_policy(flash_attention)
            .with_type_k(keys)
            .with_type_v(values);
        let loaded = Loaded::try_new(model, |model| model.new_context(library, parameters))
            .map_err(|error| failed(error.into()))?;
        let (model, context) = (loaded.borrow_owner(), loaded.borrow_dependent());
        // llama.cpp rounds up what it was asked for; the cache has what the settings say.
        let cells = context.n_ctx().min(settings.cache_tokens.get());
        let info = ModelInfo {
            engine: ENGINE.into(),
            name: name(&file, path),
            format,
            parameters: model.n_params(),
            vocabulary: vocabulary.size(),
            context_length: cells.min(model.n_ctx_train()) as usize,
        };
        let cached = Cached::new(decided.parallel as usize, context.n_batch() as usize, cells as usize);
        Ok(Self { loaded, vocabulary, cached, info })
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

/// The library, initialised once for the process, its log kept off the terminal.
fn library() -> Result<&'static LlamaBackend, String> {
    static LIBRARY: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let mut library = LlamaBackend::init().map_err(|error| error.to_string())?;
            library.void_logs();
            Ok(library)
        })
        .as_ref()
        .map_err(Clone::clone)
}

/// For `map_err` on what llama.cpp returns.
pub(crate) fn engine_error(
    action: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> BackendError {
    BackendError::Engine { engine: ENGINE, action: action.into(), source: source.into() }
}

fn name(file: &lancer_model::gguf::GgufFile, path: &Path) -> String {
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    file.metadata().text(path, "general.name").ok().flatten().map_or_else(stem, str::to_owned)
}

/// The storage type of most weights.
fn format(file: &lancer_model::gguf::GgufFile) -> String {
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
