//! [`Backend`](lancer_backend::Backend) on llama.cpp.
//!
//! One sequence of the KV cache, the trunk, holds the latest prompt. Each sample or continuation is a branch: it shares
//! the trunk's cells and adds its own, and is replaced as soon as it ends. The next prompt goes into the trunk too, from
//! where it differs from the last, so what many prompts begin with (a rubric, examples) is computed once. Prompts are
//! read in the same steps in which samples are written.
//!
//! ```no_run
//! use lancer_backend::{Backend, Collect, GenerateRequest, Prompt};
//! use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
//!
//! let mut engine = LlamaCpp::load("model.gguf".as_ref(), &LlamaCppSettings::default())?;
//! let mut completions = Collect::default();
//! engine.generate(&[GenerateRequest::new(Prompt::user("Name a colour."))], &mut completions)?;
//! println!("{}", completions.0[0].text);
//! # Ok::<(), lancer_backend::BackendError>(())
//! ```
//!
//! # Settings
//!
//! A *step* is one pass of tokens through the model. It takes the latest token of every live sample, and fills up with
//! tokens of the next prompt; scoring fills it with the tokens of continuations first.
//!
//! * `parallel` is how many samples or continuations are live. A step reads all weights once, however many tokens it
//!   has, so more is faster, up to a point: in f32, attention is computed over the cells of all sequences and what is not
//!   a token's own is masked after; flash attention passes over it.
//! * `cache_tokens` is how many cells the KV cache has for all of them: 2 × layers × key-value heads × head size × 4
//!   bytes each, 46 KB for SmolLM2-135M, and half of that with flash attention. A sample begins when the cache holds its
//!   longest form (`max_tokens`) beside the longest forms of all live ones, where what they share counts once. So no
//!   sample has to be given up, and a cache that is too small costs time only: samples wait for others to end. One prompt
//!   with one sample always fits, since together they are cut to the context.
//! * `step_tokens` is how much of a prompt is read between two tokens of the samples. Memory for outputs grows with it,
//!   two times vocabulary × 4 bytes a token.
//!
//! * `attention` trades digits for speed and memory; see [`Attention`].
//!
//! * `gpu_layers`, `main_gpu` and `cache_type` place layers and their cache on graphics processors, where one of the features
//!   `cuda`, `vulkan`, `metal` and `rocm` is built in; [`LlamaCpp::placement`] says what was decided.
//!
//! # Adapters
//!
//! [`LlamaCpp::load_adapted`] runs a base with a LoRA adapter over it, and [`LlamaCpp::with_adapter`] puts another one in its
//! place while the base stays in memory.
//!
//! llama.cpp is compiled for the machine at hand where `rustflags` say `target-cpu=native`, as `.cargo/config.toml` does.
//!
//! Randomness comes from each sample's seed alone; what else is in a step changes logits by rounding only.

mod adapter;
mod cache;
mod context;
mod error;
mod generate;
mod load;
mod placement;
mod requests;
mod score;
mod settings;
mod vocabulary;

pub use adapter::LlamaCppAdapterError;
pub use load::LlamaCpp;
pub use placement::Placement;
pub use settings::{
    Attention, CacheType, GpuLayers, GpuLayersError, LlamaCppSettings, LlamaCppSettingsError,
};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
