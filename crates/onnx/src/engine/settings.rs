//! How a model is loaded.

use std::{num::NonZeroU32, thread};

use serde::{Deserialize, Serialize};

use super::Provider;

/// How a model is loaded. None of it changes results beyond rounding, except a cache too small for a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnnxSettings {
    /// Number of threads; the processor's by default.
    pub threads: Option<NonZeroU32>,
    /// Samples that are written at the same time.
    pub parallel: NonZeroU32,
    /// Tokens that the KV cache holds for all samples together, each with its prompt and its limit. A single sequence can
    /// have no more, nor more than the model was trained for.
    pub cache_tokens: NonZeroU32,
    /// Tokens of a prompt that are read at once at most. Attention takes memory for so many rows over the whole prompt.
    pub step_tokens: NonZeroU32,
    /// What computes.
    pub provider: Provider,
}

impl Default for OnnxSettings {
    fn default() -> Self {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            threads: None,
            parallel: number(32),
            cache_tokens: number(16384),
            step_tokens: number(512),
            provider: Provider::Cpu,
        }
    }
}

impl OnnxSettings {
    /// The number of threads in effect.
    pub(super) fn thread_count(&self) -> usize {
        let all = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.map_or_else(all, |threads| threads.get() as usize)
    }
}
