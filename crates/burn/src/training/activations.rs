//! Which activations a forward pass keeps, where that is left to the memory there is.
//!
//! Kept whole, the graph of a layer holds about `4 h + 2 q + 2 k + 2 m` numbers for each token: the input, the normed input,
//! the sum after attention and that normed (`h`, the hidden width); queries, keys and values (`q`, `k`, the width of all query
//! heads and of all key heads), what attention gives (`q`); gate and up (`m`, the width of the MLP). Kept by layer, only the
//! layer's input is held, and the graph of one layer at a time.

use lancer_memory::available_memory;
use lancer_model::Config;

use super::packed::Packed;
use crate::{settings::Activations, transformer::Transformer};

/// The part of the memory there is that activations may take, as a divisor: the backward pass makes gradients beside them.
const PART: u64 = 2;

/// Whether a pass keeps everything or the input of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    Everything,
    Inputs,
}

impl Keeping {
    /// As the settings say; where they leave it to the memory, everything if there is room for it. Both give the same numbers.
    pub(super) fn of(activations: Activations, transformer: &Transformer, packed: &Packed) -> Self {
        match activations {
            Activations::Keep => Self::Everything,
            Activations::Recompute => Self::Inputs,
            // A GPU's free memory is not known here.
            Activations::Auto if !transformer.is_here() => Self::Everything,
            Activations::Auto => {
                let needed = bytes_of_everything(&transformer.config, packed.tokens.len());
                let is_room = available_memory().is_none_or(|available| needed <= available / PART);
                if is_room { Self::Everything } else { Self::Inputs }
            }
        }
    }
}

/// Bytes that the whole graph of so many tokens takes, about.
fn bytes_of_everything(config: &Config, tokens: usize) -> u64 {
    let &Config { hidden_size, intermediate_size, heads, kv_heads, head_dim, layers, .. } = config;
    let of_token = 4 * hidden_size + 2 * head_dim * (heads + kv_heads) + 2 * intermediate_size;
    (tokens * layers * of_token * size_of::<f32>()) as u64
}
