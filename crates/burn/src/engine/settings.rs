//! How a model is run.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::BurnDevice;

/// How a model is run. None of it but the weights' numbers changes results beyond rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BurnSettings {
    /// Samples that are written at the same time. Each has keys and values for as many tokens as it has so far.
    pub parallel: NonZeroU32,
    /// Tokens that the KV cache holds for all samples together, each with its limit and each request with its prompt. A single
    /// sequence can have no more, nor more than the model was trained for. Where it is left out, as many samples are written side
    /// by side as may be, and the cache grows with what they turn out to need.
    pub cache_tokens: Option<NonZeroU32>,
    /// Tokens of prompts and continuations that are read at once at most. Where it is left out, 512 on the processor and 2,048 on
    /// GPUs, which fewer do not keep busy.
    pub step_tokens: Option<NonZeroU32>,
    /// In which numbers the weights of matrices are kept and multiplied.
    pub weights: Weights,
    /// Where the model is computed.
    pub device: BurnDevice,
}

impl Default for BurnSettings {
    fn default() -> Self {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            parallel: number(32),
            cache_tokens: None,
            step_tokens: None,
            weights: Weights::F32,
            device: BurnDevice::Cpu,
        }
    }
}

impl BurnSettings {
    /// Tokens that are read at once at most.
    pub(crate) fn tokens_at_once(&self) -> usize {
        let of_device = match self.device {
            BurnDevice::Cpu => 512,
            BurnDevice::Wgpu | BurnDevice::Cuda => 2048,
        };
        self.step_tokens.map_or(of_device, |tokens| tokens.get() as usize)
    }

    /// The longest sequence that a model of this context length may read.
    pub(crate) fn context_length(&self, trained: usize) -> usize {
        self.cache_tokens.map_or(trained, |most| trained.min(most.get() as usize))
    }
}

/// In which numbers the weights of matrices are kept and multiplied. Sums are 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// 32-bit floats.
    F32,
    /// bf16 (8 bits of precision, the range of a 32-bit float), in half of the memory; on the processor only. What was published in
    /// bf16 loses nothing, other weights are rounded by chance, each up or down, so that what training changed stays true
    /// on average. On processors with AMX (Intel's from Sapphire Rapids on, under Linux) states are rounded where they
    /// are multiplied, keys and values are kept in bf16, and prompts and samples are several times as fast as with 32-bit floats; on
    /// others they are as fast or a little faster.
    Bf16,
}

impl Weights {
    /// Its name in [`ModelInfo::format`](lancer_backend::ModelInfo::format).
    pub(crate) fn format(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
        }
    }
}
