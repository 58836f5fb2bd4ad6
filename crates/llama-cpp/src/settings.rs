//! How a model is loaded.

use std::{num::NonZeroU32, thread};

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
}

/// Settings with what was left open decided.
pub(crate) struct Decided {
    pub(crate) threads: i32,
    pub(crate) parallel: u32,
    pub(crate) attention: Attention,
}

impl LlamaCppSettings {
    /// Decides what was left open, for weights in f32 or others, and checks the ranges.
    pub(crate) fn decide(&self, weights_in_f32: bool) -> Result<Decided, LlamaCppSettingsError> {
        let attention =
            self.attention.unwrap_or(if weights_in_f32 { Attention::F32 } else { Attention::Flash });
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
        Ok(Decided { threads, parallel, attention })
    }
}
