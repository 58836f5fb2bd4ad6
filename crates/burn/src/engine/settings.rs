//! How a model is run.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::BurnDevice;

/// How a model is run. None of it changes results beyond rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BurnSettings {
    /// Samples that are written at the same time. Each has keys and values for as many tokens as it has so far.
    pub parallel: NonZeroU32,
    /// Tokens of prompts and continuations that are read at once at most.
    pub step_tokens: NonZeroU32,
    /// Where the model is computed.
    pub device: BurnDevice,
}

impl Default for BurnSettings {
    fn default() -> Self {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { parallel: number(32), step_tokens: number(512), device: BurnDevice::Cpu }
    }
}
