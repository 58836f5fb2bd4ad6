//! Which engines there are: the only file that names them.

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "openai")]
mod known_models;
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

use std::{
    error::Error,
    num::NonZeroU32,
    path::{Path, PathBuf},
    thread,
};

use clap::{Args, ValueEnum};
use lancer_backend::{Backend, BackendError, Learner, LearnerError, Seed, WeightFormat};
use lancer_eval::TaskSpec;
use lancer_evolve::{
    Engines, Recipe, RunnableModels, TrainElsewhereError, TrainedElsewhere, TrainerSettings, TrainingPlace,
    TrainingTask, WritableModel,
};
use lancer_model::{ConvertFormat, Model, convert};
use lancer_prefer::TrainingObserver;
use lancer_review::ModeSetting;

use crate::interrupt;

#[cfg(feature = "openai")]
use self::known_models::KnownModels;
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

/// What training makes in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Makes {
    /// Adapters over the user's model, in both phases.
    Adapters,
    /// Whole models.
    Models,
}

impl Makes {
    fn of(recipe: &Recipe) -> Self {
        let adapts = |trainer: Option<TrainerSettings<'_>>, learner: &toml::Table| {
            let place = trainer.map(|settings| trainers::place(settings.trainer));
            !matches!(place, Some(Ok(TrainingPlace::Elsewhere))) && trains_adapters(learner)
        };
        let (sft, preference) = (&recipe.sft, &recipe.preference);
        if adapts(sft.trainer(), &sft.learner) && adapts(preference.trainer(), &preference.learner) {
            Self::Adapters
        } else {
            Self::Models
        }
    }
}

/// The engines of a run.
pub(crate) struct RunEngines {
    options: EngineOptions,
    makes: Makes,
    /// The Python of programs that train elsewhere, where the command line names it.
    python: Option<PathBuf>,
    /// The user's model, which the servers run at first.
    first: PathBuf,
    scores: Scores,
    /// The run's folder, where these are the engines of one run.
    run: Option<PathBuf>,
    servers: Option<openai::Connection>,
    /// The model that the servers are known to run.
    served: Option<PathBuf>,
    known: Option<KnownModels>,
}

impl RunEngines {
    /// Those that a recipe names; what it does not name is as the command line says.
    pub(crate) fn new(options: &EngineOptions, recipe: &Recipe, run: Option<&Path>) -> Result<Self, String> {
        let backend = recipe.backend.as_deref().map(named).transpose()?.or(options.backend);
        let servers = options.servers.of_recipe(&recipe.server)?;
        let options = EngineOptions { backend, servers, ..options.clone() };
        options.check()?;
        let scores = if asks_for_scores(recipe) { Scores::Asked } else { Scores::NotAsked };
        let run = run.map(Path::to_owned);
        Ok(Self {
            options,
            makes: Makes::of(recipe),
            python: None,
            first: recipe.model.clone(),
            scores,
            run,
            servers: None,
            served: None,
            known: None,
        })
    }

    /// With the Python of programs that train elsewhere.
    pub(crate) fn with_python(self, python: Option<PathBuf>) -> Self {
        Self { python, ..self }
    }

    /// Connects to the servers, where there are any, and checks that they can do what the recipe asks: before the run begins.
    pub(crate) fn check(&mut self) -> Result<(), BackendError> {
        if matches!(BackendName::of(&self.options).engine(), Engine::OpenAi) {
            self.servers = Some(openai::connect(&self.options, &self.first, self.scores)?);
        }
        Ok(())
    }

    /// The servers, running `model`.
    fn served(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        let mut connection = match self.servers.take() {
            Some(connection) => connection,
            None => openai::connect(&self.options, &self.first, self.scores)?,
        };
        if self.served.as_deref() != Some(model) {
            self.served = None;
            // By now the run's folder has its name.
            let known = self.known.get_or_insert_with(|| KnownModels::of_run(self.run.as_deref()));
            openai::serve(&self.options, &mut connection, known, &self.first, model)?;
            self.served = Some(model.to_owned());
        }
        let backend = openai::backend(&self.options, &connection, model);
        self.servers = Some(connection);
        backend
    }
}

/// Whether a recipe asks for log-probabilities of given text.
fn asks_for_scores(recipe: &Recipe) -> bool {
    let by_review = match recipe.review.mode {
        ModeSetting::Auto | ModeSetting::Expected | ModeSetting::Likelihood => true,
        ModeSetting::Rubric | ModeSetting::None => false,
    };
    // What is wrong with a task's file is said where the tasks are read.
    let by_task = |path: &PathBuf| TaskSpec::load(path).is_ok_and(|spec| spec.is_scored());
    by_review || recipe.evaluate.tasks.iter().any(by_task)
}

impl Engines for RunEngines {
    fn runs(&self) -> RunnableModels {
        match BackendName::of(&self.options).engine() {
            // Adapters run over the user's own file, as they were trained.
            Engine::LlamaCpp if self.makes == Makes::Adapters => RunnableModels::Trainable,
            Engine::LlamaCpp | Engine::Onnx => RunnableModels::Gguf,
            Engine::Burn | Engine::OpenAi => RunnableModels::Trainable,
        }
    }

    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        interrupt::of_run(|| import(model, to, format))
    }

    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        interrupt::of_run(|| match BackendName::of(&self.options).engine() {
            Engine::OpenAi => self.served(model),
            _ => backend(&self.options, model, self.scores),
        })
    }

    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
        check_learner(settings)
    }

    fn check_both_learners(
        &self,
        sft: &toml::Table,
        preference: &toml::Table,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        burn::check_both_learners(sft, preference)
    }

    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError> {
        interrupt::of_run(|| learner(&self.options, model, settings, seed))
    }

    fn training_place(&self, trainer: &str) -> Result<TrainingPlace, Box<dyn Error + Send + Sync>> {
        trainers::place(trainer)
    }

    fn check_trainer(&self, settings: &TrainerSettings<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        trainers::check(settings)
    }

    fn train(
        &mut self,
        task: &TrainingTask<'_>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<TrainedElsewhere, TrainElsewhereError> {
        trainers::train(task, self.python.as_deref(), observer)
    }

    fn take_over(
        &mut self,
        model: &Path,
        start: &Path,
    ) -> Result<Box<dyn WritableModel>, Box<dyn Error + Send + Sync>> {
        interrupt::of_run(|| trainers::take_over(model, start))
    }

    fn tidy(&mut self, folder: &Path) {
        trainers::tidy(folder);
    }

    fn trained(&mut self, learner: Box<dyn Learner>) -> Option<Box<dyn Backend>> {
        burn::trained(&self.options, learner)
    }
}
