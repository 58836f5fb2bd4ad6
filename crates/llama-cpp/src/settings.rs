//! How a model is loaded.

use std::{
    num::{NonZeroU32, ParseIntError},
    str::FromStr,
    thread,
};

use serde::{Deserialize, Serialize};

/// Sequences that llama.cpp holds at most (`LLAMA_MAX_SEQ`).
const MAX_SEQUENCES: u32 = 256;

/// How a model is loaded. None of it changes results beyond rounding, except a cache too small for a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LlamaCppSettings {
    /// Number of threads; the processor's by default.
    pub threads: Option<NonZeroU32>,
    /// Samples and continuations that are computed at the same time, 1 to 255; by default 32, or 16 with
    /// [`Attention::F32`], where each of them costs more the more there are.
    pub parallel: Option<NonZeroU32>,
    /// Tokens that the KV cache holds for all of them together; what is shared counts once. A single sequence can have
    /// no more, nor more than the model was trained for. More than `parallel`.
    pub cache_tokens: NonZeroU32,
    /// Tokens of one step at most, prompts and samples together; more than `parallel`, so that a prompt moves on however
    /// many samples are being written.
    pub step_tokens: NonZeroU32,
    /// How attention is computed; by default [`Attention::F32`] where the weights are in f32, so that nothing is lost, and
    /// [`Attention::Flash`] where they are not.
    pub attention: Option<Attention>,
    /// How many layers are computed on graphics processors.
    pub gpu_layers: GpuLayers,
    /// The only graphics processor that is used, counted from 0; without it the layers are divided among all of them by their
    /// free memory.
    pub main_gpu: Option<u32>,
    /// The element type of keys and values in the cache; by default as [`Attention`] says.
    pub cache_type: Option<CacheType>,
}

/// How many layers are computed on graphics processors. The output counts as a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuLayers {
    /// As many as fit into their free memory.
    #[default]
    Auto,
    /// The last so many, all of them if there are fewer; 0 computes on the processor.
    Count(u32),
}

impl FromStr for GpuLayers {
    type Err = GpuLayersError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Count).map_err(|source| GpuLayersError { text: text.into(), source })
    }
}

/// A text that is no number of layers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither `auto` nor a number of layers from 0 on")]
pub struct GpuLayersError {
    text: String,
    source: ParseIntError,
}

/// The element type of keys and values in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// 32-bit floats; with [`Attention::F32`] only exact.
    F32,
    /// 16-bit floats.
    F16,
    /// Blocks of 32 8-bit integers with a common scale: about half of f16's memory. Needs [`Attention::Flash`].
    Q8_0,
}

impl CacheType {
    /// Bits that a number takes, its share of the block's scale counted in.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            // 34 bytes for 32 numbers.
            Self::Q8_0 => 9,
        }
    }
}

/// How attention is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// In f32, over keys and values in f32: log-probabilities agree with those of other engines in f32 within 1e-3. Each
    /// token is held against the cells of all sequences.
    F32,
    /// llama.cpp's flash attention, over keys in f16 and values in bf16: half the memory, and each token is held against
    /// the cells of its own sequence only. Log-probabilities are off by some thousandths. (Values in f16 would be summed
    /// in f16, and by another kernel from 64 tokens a step on; values in bf16 are summed in f32, always by the same.)
    Flash,
}

impl Default for LlamaCppSettings {
    fn default() -> Self {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            threads: None,
            parallel: None,
            cache_tokens: number(8192),
            step_tokens: number(512),
            attention: None,
            gpu_layers: GpuLayers::Auto,
            main_gpu: None,
            cache_type: None,
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LlamaCppSettingsError {
    /// More sequences than llama.cpp holds.
    #[error("parallel is {0}; llama.cpp computes at most {max} sequences at the same time", max = MAX_SEQUENCES - 1)]
    TooParallel(u32),
    /// A step, or the cache, has no room for a prompt beside the samples.
    #[error("{setting} is {value}; it must be more than parallel, which is {parallel}")]
    TooSmall {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: u32,
        /// The value of `parallel`.
        parallel: u32,
    },
    /// A graphics processor that is not there.
    #[error(
        "main_gpu is {asked}, and this build of llama.cpp finds {found} graphics processors, counted from 0{}",
        if *found == 0 { "; build lancer with one of the features llama-cpp-cuda, -vulkan, -metal and -rocm" } else { "" }
    )]
    NoSuchGpu {
        /// The one that was asked for.
        asked: u32,
        /// How many there are.
        found: usize,
    },
    /// Layers for a graphics processor where none is there.
    #[error(
        "gpu_layers is {0}, and this build of llama.cpp finds no graphics processor; build lancer with one of the features \
         llama-cpp-cuda, -vulkan, -metal and -rocm, or leave it `auto`"
    )]
    NoGpu(u32),
    /// A quantised cache without flash attention.
    #[error("cache_type is q8_0, which only flash attention reads; set attention to flash as well")]
    QuantisedCache,
}

/// Settings with what was left open decided.
pub(crate) struct Decided {
    pub(crate) threads: i32,
    pub(crate) parallel: u32,
    pub(crate) attention: Attention,
    pub(crate) gpu_layers: GpuLayers,
    pub(crate) main_gpu: Option<u32>,
    pub(crate) cache_type: Option<CacheType>,
}

impl LlamaCppSettings {
    /// Decides what was left open, for weights in f32 or others and so many graphics processors, and checks the ranges.
    pub(crate) fn decide(&self, weights_in_f32: bool, gpus: usize) -> Result<Decided, LlamaCppSettingsError> {
        if let Some(asked) = self.main_gpu.filter(|&asked| asked as usize >= gpus) {
            return Err(LlamaCppSettingsError::NoSuchGpu { asked, found: gpus });
        }
        if let (GpuLayers::Count(layers @ 1..), 0) = (self.gpu_layers, gpus) {
            return Err(LlamaCppSettingsError::NoGpu(layers));
        }
        let attention =
            self.attention.unwrap_or(if weights_in_f32 { Attention::F32 } else { Attention::Flash });
        if self.cache_type == Some(CacheType::Q8_0) && attention == Attention::F32 {
            return Err(LlamaCppSettingsError::QuantisedCache);
        }
        let by_default = match attention {
            Attention::F32 => 16,
            Attention::Flash => 32,
        };
        let parallel = self.parallel.map_or(by_default, NonZeroU32::get);
        // One sequence is the trunk.
        if parallel >= MAX_SEQUENCES {
            return Err(LlamaCppSettingsError::TooParallel(parallel));
        }
        for (setting, value) in [("step_tokens", self.step_tokens), ("cache_tokens", self.cache_tokens)] {
            if value.get() <= parallel {
                return Err(LlamaCppSettingsError::TooSmall { setting, value: value.get(), parallel });
            }
        }
        let all = || thread::available_parallelism().map_or(1, |threads| threads.get() as i32);
        let threads = self.threads.map_or_else(all, |threads| threads.get() as i32);
        let (gpu_layers, main_gpu, cache_type) = (self.gpu_layers, self.main_gpu, self.cache_type);
        Ok(Decided { threads, parallel, attention, gpu_layers, main_gpu, cache_type })
    }
}
