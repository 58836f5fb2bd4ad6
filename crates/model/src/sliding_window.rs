//! Attention that reaches back only so far (Beltagy et al. 2020, arXiv 2004.05150).

use crate::Rotary;

/// Attention that reaches back only so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlidingWindow {
    /// A token sees itself and the `tokens - 1` before it; at least 1.
    pub tokens: usize,
    /// Which layers have it.
    pub layers: WindowedLayers,
    /// The rotary embedding of these layers.
    pub rotary: Rotary,
}

/// Which layers have a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowedLayers {
    /// All.
    All,
    /// All but the last of every so many, at least 2.
    AllButEvery(usize),
}

impl SlidingWindow {
    /// Whether the layer of this index has it.
    pub fn is_in(&self, layer: usize) -> bool {
        match self.layers {
            WindowedLayers::All => true,
            WindowedLayers::AllButEvery(period) => !(layer + 1).is_multiple_of(period),
        }
    }
}
