//! A model and the context that computes with it, from settings to llama.cpp's parameters.

use std::{error::Error, path::Path, sync::OnceLock};

use lancer_model::gguf::GgufFile;
use llama_cpp_2::{
    context::{
        LlamaContext,
        params::{KvCacheType, LlamaContextParams},
    },
    llama_backend::LlamaBackend,
    model::{
        LlamaModel,
        params::{LlamaModelParams, LlamaSplitMode},
    },
};
use self_cell::self_cell;

use crate::{
    adapter::{self, LlamaCppAdapterError},
    cache::Cached,
    placement::Placement,
    settings::{Attention, CacheType, Decided, LlamaCppSettings},
};

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED` and `_ENABLED` of llama.h.
const FLASH_ATTENTION_OFF: i32 = 0;
const FLASH_ATTENTION_ON: i32 = 1;

self_cell!(
    /// A model and the context that borrows it.
    pub(crate) struct Loaded {
        owner: LlamaModel,
        #[covariant]
        dependent: LlamaContext,
    }
);

/// Keys' and values' types in the cache, and the bits that a number of them takes.
pub(crate) fn cache_types(decided: &Decided, on_gpu: bool) -> (KvCacheType, KvCacheType, u64) {
    match (decided.cache_type, decided.attention) {
        (Some(kind @ CacheType::F32), _) => (KvCacheType::F32, KvCacheType::F32, kind.bits()),
        (Some(kind @ CacheType::F16), _) => (KvCacheType::F16, KvCacheType::F16, kind.bits()),
        (Some(kind @ CacheType::Q8_0), _) => (KvCacheType::Q8_0, KvCacheType::Q8_0, kind.bits()),
        (None, Attention::F32) => (KvCacheType::F32, KvCacheType::F32, 32),
        // Kernels of graphics processors sum in f32 whatever the values' type, and not all of them read bf16.
        (None, Attention::Flash) if on_gpu => (KvCacheType::F16, KvCacheType::F16, 16),
        (None, Attention::Flash) => (KvCacheType::F16, KvCacheType::BF16, 16),
    }
}

pub(crate) fn model_parameters(decided: &Decided, placement: &Placement) -> LlamaModelParams {
    let layers = match placement {
        Placement::Processor => 0,
        Placement::Gpu { layers, .. } => *layers,
    };
    let parameters = LlamaModelParams::default().with_n_gpu_layers(layers);
    match decided.main_gpu {
        Some(main) if layers > 0 => {
            parameters.with_split_mode(LlamaSplitMode::None).with_main_gpu(main as i32)
        }
        _ => parameters,
    }
}

pub(crate) fn context_parameters(
    settings: &LlamaCppSettings,
    decided: &Decided,
    placement: &Placement,
) -> LlamaContextParams {
    let step_tokens = settings.step_tokens.get();
    let flash_attention = match decided.attention {
        Attention::F32 => FLASH_ATTENTION_OFF,
        Attention::Flash => FLASH_ATTENTION_ON,
    };
    let on_gpu = matches!(placement, Placement::Gpu { .. });
    let (keys, values, _) = cache_types(decided, on_gpu);
    LlamaContextParams::default()
        .with_n_ctx(Some(settings.cache_tokens))
        // The trunk and the branches.
        .with_n_seq_max(decided.parallel + 1)
        .with_kv_unified(true)
        .with_n_batch(step_tokens)
        .with_n_ubatch(step_tokens)
        .with_n_threads(decided.threads)
        .with_n_threads_batch(decided.threads)
        .with_flash_attention_policy(flash_attention)
        .with_offload_kqv(on_gpu)
        .with_op_offload(on_gpu)
        .with_type_k(keys)
        .with_type_v(values)
}

/// A context over a model, with an adapter where one is given. llama.cpp keeps an adapter for as long as its model.
pub(crate) fn open_context(
    mut model: LlamaModel,
    file: &GgufFile,
    adapter: Option<&Path>,
    parameters: LlamaContextParams,
) -> Result<Loaded, Box<dyn Error + Send + Sync>> {
    let library = library()?;
    let adapter = adapter
        .map(|path| {
            adapter::check(file, path)?;
            let refused = |source: Box<dyn Error + Send + Sync>| LlamaCppAdapterError::Refused {
                path: path.into(),
                source,
            };
            let adapter = model.lora_adapter_init(path).map_err(|error| refused(error.into()))?;
            Ok::<_, LlamaCppAdapterError>((adapter, refused))
        })
        .transpose()?;
    Loaded::try_new(model, |model| {
        let mut context = model.new_context(library, parameters)?;
        if let Some((mut adapter, refused)) = adapter {
            context.lora_adapter_set(&mut adapter, 1.0).map_err(|error| refused(error.into()))?;
        }
        Ok(context)
    })
}

pub(crate) fn cached(loaded: &Loaded, settings: &LlamaCppSettings, decided: &Decided) -> Cached {
    let context = loaded.borrow_dependent();
    // llama.cpp rounds up what it was asked for; the cache has what the settings say.
    let cells = context.n_ctx().min(settings.cache_tokens.get());
    Cached::new(decided.parallel as usize, context.n_batch() as usize, cells as usize)
}

/// The library, initialised once for the process, its log kept off the terminal.
pub(crate) fn library() -> Result<&'static LlamaBackend, String> {
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
