//! Which engines there are: the only file that names them.

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "openai")]
mod known_models;
mod of_run;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod scored_elsewhere;
mod servers;
pub(crate) mod trainers;
#[cfg(not(feature = "burn"))]
mod without_burn;
#[cfg(not(feature = "onnx"))]
mod without_onnx;
#[cfg(not(feature = "openai"))]
mod without_openai;

use std::{error::Error, num::NonZeroU32, path::Path, thread};

use clap::{Args, ValueEnum};
use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};
use lancer_model::{ConvertFormat, Model, convert};

#[cfg(feature = "openai")]
use self::known_models::KnownModels;
pub(crate) use self::of_run::RunEngines;
pub(crate) use self::onnx::write_onnx;
#[cfg(not(feature = "openai"))]
use self::openai::KnownModels;
use self::servers::ServerOptions;
#[cfg(not(feature = "burn"))]
use self::without_burn as burn;
#[cfg(not(feature = "onnx"))]
use self::without_onnx as onnx;
#[cfg(not(feature = "openai"))]
use self::without_openai as openai;

/// An engine that runs models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// llama.cpp: fast, GGUF files.
    LlamaCpp,
    /// ONNX Runtime: fast, ONNX folders; its library is looked for when it is used.
    Onnx,
    /// ONNX Runtime on an NVIDIA card.
    OnnxCuda,
    /// ONNX Runtime on an NVIDIA card that models are compiled for first.
    OnnxTensorrt,
    /// ONNX Runtime on Apple's neural engine and graphics.
    OnnxCoreml,
    /// ONNX Runtime on a graphics card on Windows.
    OnnxDirectml,
    /// ONNX Runtime on any graphics card; the library of PyPI's onnxruntime-webgpu has it.
    OnnxWebgpu,
    /// Burn: the engine that trains; GGUF files and Hugging Face folders, in 32 bits.
    #[value(alias = "burn-cpu")]
    Burn,
    /// Burn with weights in bf16: half of the memory, and two to three times as fast on Intel's processors with AMX.
    BurnBf16,
    /// Burn on any graphics card, through Vulkan, Metal or Direct3D 12.
    BurnWgpu,
    /// Burn on an NVIDIA card.
    BurnCuda,
    /// Servers with OpenAI's interface (--server): vLLM, `SGLang`, llama.cpp's server. Training needs a local engine beside.
    #[value(name = "openai")]
    OpenAi,
}

/// What computes, whatever it computes with.
enum Engine {
    LlamaCpp,
    Onnx,
    Burn,
    OpenAi,
}

/// Whether a command asks its engine for log-probabilities of given text, which not every server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scores {
    Asked,
    NotAsked,
}

/// How the weights of an ONNX model are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnnxFormat {
    F32,
    F16,
    Int8,
}

/// From which operators an ONNX model is made.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnnxOperators {
    /// ONNX Runtime's own where they are faster.
    Fused,
    /// ONNX's only, for other runtimes.
    Plain,
}

/// Which engine runs models, and how.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EngineOptions {
    /// The engine that runs models; that of the run where there is one, else the first of those that are built in.
    #[arg(long, value_enum)]
    pub(crate) backend: Option<BackendName>,
    /// Threads; the processor's number by default.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroU32>,
    /// Samples that are computed at the same time; 32 by default; llama.cpp with weights in f32: 16; requests in flight at
    /// servers: 256 at most.
    #[arg(long, value_name = "N")]
    parallel: Option<NonZeroU32>,
    /// Tokens that the KV cache holds for all samples together; the longest text there can be. Burn's grows with what samples
    /// need by default.
    #[arg(long, value_name = "N")]
    cache_tokens: Option<NonZeroU32>,
    /// Layers that llama.cpp computes on graphics processors: `auto` for as many as fit into their free memory, or a number, the
    /// output counted as one; 0 computes on the processor.
    #[cfg(feature = "llama-cpp")]
    #[arg(long, value_name = "auto|N", default_value = "auto")]
    gpu_layers: lancer_llama_cpp::GpuLayers,
    /// The only graphics processor that llama.cpp uses, counted from 0; all of them by default.
    #[cfg(feature = "llama-cpp")]
    #[arg(long, value_name = "N")]
    main_gpu: Option<u32>,
    #[command(flatten)]
    pub(crate) servers: ServerOptions,
}

impl EngineOptions {
    /// The engine that the options name: by its name, or by servers.
    pub(crate) fn named(&self) -> Option<BackendName> {
        let by_servers = (!self.servers.urls().is_empty()).then_some(BackendName::OpenAi);
        self.backend.or(by_servers)
    }

    /// Checks that servers are named for an engine that is one.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.backend {
            Some(other) if other != BackendName::OpenAi && !self.servers.urls().is_empty() => Err(format!(
                "--server goes with --backend openai, and the backend is {}: leave one of them out",
                other.name()
            )),
            _ => Ok(()),
        }
    }

    /// What training needs of them.
    pub(crate) fn with_threads(threads: Option<NonZeroU32>) -> Self {
        Self { threads, ..Self::default() }
    }
}

/// Reads a number of threads: no more than the processor has, beyond which they only wait for one another, and each of them
/// takes memory.
pub(crate) fn threads(text: &str) -> Result<NonZeroU32, String> {
    let threads = text.parse::<NonZeroU32>().map_err(|error| error.to_string())?;
    let most = thread::available_parallelism().map_or(u32::MAX, |most| most.get() as u32);
    if threads.get() > most {
        return Err(format!("this process can use {most} threads of the processor; give at most as many"));
    }
    Ok(threads)
}

impl BackendName {
    /// The first of the engines that are built in.
    pub(crate) const DEFAULT: Self = if cfg!(feature = "llama-cpp") {
        Self::LlamaCpp
    } else if cfg!(feature = "onnx") {
        Self::Onnx
    } else {
        Self::BURN
    };

    /// The first of Burn's devices that are built in.
    const BURN: Self = if cfg!(feature = "burn-cpu") {
        Self::Burn
    } else if cfg!(feature = "burn-cuda") {
        Self::BurnCuda
    } else {
        Self::BurnWgpu
    };

    /// That of the options, or the first that is built in.
    fn of(options: &EngineOptions) -> Self {
        options.named().unwrap_or(Self::DEFAULT)
    }

    fn engine(self) -> Engine {
        match self {
            Self::LlamaCpp => Engine::LlamaCpp,
            Self::Onnx
            | Self::OnnxCuda
            | Self::OnnxTensorrt
            | Self::OnnxCoreml
            | Self::OnnxDirectml
            | Self::OnnxWebgpu => Engine::Onnx,
            Self::Burn | Self::BurnBf16 | Self::BurnWgpu | Self::BurnCuda => Engine::Burn,
            Self::OpenAi => Engine::OpenAi,
        }
    }

    /// Its name, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama-cpp",
            Self::Onnx => "onnx",
            Self::OnnxCuda => "onnx-cuda",
            Self::OnnxTensorrt => "onnx-tensorrt",
            Self::OnnxCoreml => "onnx-coreml",
            Self::OnnxDirectml => "onnx-directml",
            Self::OnnxWebgpu => "onnx-webgpu",
            Self::Burn => "burn",
            Self::BurnBf16 => "burn-bf16",
            Self::BurnWgpu => "burn-wgpu",
            Self::BurnCuda => "burn-cuda",
            Self::OpenAi => "openai",
        }
    }
}

/// Loads a model to run it, or connects to the servers that run it, where they can do what is asked.
pub(crate) fn backend(
    options: &EngineOptions,
    model: &Path,
    scores: Scores,
) -> Result<Box<dyn Backend>, BackendError> {
    lancer_memory::move_into_large_pages();
    match BackendName::of(options).engine() {
        Engine::LlamaCpp => llama_cpp(options, model),
        Engine::Onnx => onnx::backend(options, model),
        Engine::Burn => burn::backend(options, model),
        Engine::OpenAi => openai::backend(options, &openai::connect(options, model, scores)?, model),
    }
}

/// Loads a model to train it: on the device that `settings` name, else that of Burn where it runs the models too, else the
/// first that is built in.
pub(crate) fn learner(
    options: &EngineOptions,
    model: &Path,
    settings: &toml::Table,
    seed: Seed,
) -> Result<Box<dyn Learner>, LearnerError> {
    lancer_memory::move_into_large_pages();
    burn::learner(options, model, settings, seed)
}

/// Checks the settings of training without a model.
pub(crate) fn check_learner(settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
    burn::check_learner(settings)
}

/// The JSON Schema of the settings of training, where an engine that trains is built in.
pub(crate) fn learner_schema() -> Option<serde_json::Value> {
    burn::learner_schema()
}

/// Whether training with these settings makes an adapter.
pub(crate) fn trains_adapters(settings: &toml::Table) -> bool {
    burn::trains_adapters(settings)
}

#[cfg(feature = "llama-cpp")]
fn llama_cpp(options: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};

    let default = LlamaCppSettings::default();
    let settings = LlamaCppSettings {
        threads: options.threads,
        parallel: options.parallel,
        cache_tokens: options.cache_tokens.unwrap_or(default.cache_tokens),
        gpu_layers: options.gpu_layers,
        main_gpu: options.main_gpu,
        ..default
    };
    let model = crate::converted::as_gguf(model)?;
    Ok(Box::new(match &model.adapter {
        Some(adapter) => LlamaCpp::load_adapted(&model.base, adapter, &settings)?,
        None => LlamaCpp::load(&model.base, &settings)?,
    }))
}

#[cfg(not(feature = "llama-cpp"))]
fn llama_cpp(_: &EngineOptions, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Err(BackendError::Load { path: model.into(), source: missing("llama-cpp") })
}

/// An engine, or what it computes with, is not built in.
fn missing(feature: &str) -> Box<dyn Error + Send + Sync> {
    format!("this lancer was built without it; build it with `--features {feature}`").into()
}

/// Writes a model in the form that its engine runs.
fn import(model: &Path, to: &Path, format: WeightFormat) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(convert(&Model::open(model)?, to, convert_format(format))?)
}

fn convert_format(format: WeightFormat) -> ConvertFormat {
    match format {
        WeightFormat::F32 => ConvertFormat::F32,
        WeightFormat::Half => ConvertFormat::Half,
        WeightFormat::Q8_0 => ConvertFormat::Q8_0,
    }
}

/// The engine of that name.
fn named(name: &str) -> Result<BackendName, String> {
    BackendName::from_str(name, false).map_err(|_| {
        let known: Vec<&str> = BackendName::value_variants().iter().map(|known| known.name()).collect();
        format!("the recipe's backend is `{name}`; there are {}", known.join(", "))
    })
}
