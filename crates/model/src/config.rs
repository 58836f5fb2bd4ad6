//! A model's shape, from `config.json` or from GGUF metadata.

mod gguf;
mod json;

use std::path::Path;

pub(crate) use self::gguf::{GgufDescription, ROPE_FREQS};
use crate::{Bias, BlockNorms, EmbeddingScale, Family, HeadNorm, ModelError, Rotary, SlidingWindow};

/// The most layers of a model; the deepest that are known have some hundred.
const MAX_LAYERS: usize = 1024;
/// The longest context of a model.
const MAX_CONTEXT: usize = 1 << 28;
/// The largest of a model's other sizes.
const MAX_SIZE: usize = u32::MAX as usize;

/// Where the head's weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Head {
    /// The embedding serves as the head too.
    Tied,
    /// In a tensor of their own.
    Separate,
}

/// A model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which family.
    pub family: Family,
    /// Number of tokens, as many as the embedding has rows.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside of the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Attention scores are divided by its square root; `head_dim` but in the largest Gemma.
    pub query_pre_attn_scalar: f64,
    /// The rotary embedding, of layers without a sliding window.
    pub rotary: Rotary,
    /// The sliding window, where some layers have one.
    pub sliding_window: Option<SlidingWindow>,
    /// Added to the mean square in each RMS norm.
    pub rms_norm_eps: f64,
    /// The longest sequence the model was trained for.
    pub context_length: usize,
    /// Where the head's weights are.
    pub head: Head,
}

impl Config {
    /// The sliding window of a layer; `None` where its attention reaches back to the beginning.
    pub fn window(&self, layer: usize) -> Option<&SlidingWindow> {
        self.sliding_window.as_ref().filter(|window| window.is_in(layer))
    }

    /// By which attention scores are multiplied.
    pub fn attention_scale(&self) -> f32 {
        self.query_pre_attn_scalar.sqrt().recip() as f32
    }

    /// By which embeddings are multiplied, where they are.
    pub fn embedding_scale(&self) -> Option<f32> {
        match self.family.design().embedding_scale {
            EmbeddingScale::One => None,
            EmbeddingScale::RootOfWidth => Some((self.hidden_size as f32).sqrt()),
        }
    }

    /// The shape of the tensor of this Hugging Face name (without `model.layers.N.`); `None` where there is none.
    pub fn tensor_shape(&self, part: &str) -> Option<Vec<usize>> {
        let (query, key_value) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let design = self.family.design();
        Some(match part {
            "model.embed_tokens.weight" => vec![self.vocab_size, self.hidden_size],
            "lm_head.weight" if self.head == Head::Separate => vec![self.vocab_size, self.hidden_size],
            "model.norm.weight" | "input_layernorm.weight" | "post_attention_layernorm.weight" => {
                vec![self.hidden_size]
            }
            "pre_feedforward_layernorm.weight" | "post_feedforward_layernorm.weight"
                if design.block_norms == BlockNorms::BeforeAndAfter =>
            {
                vec![self.hidden_size]
            }
            "self_attn.q_proj.weight" => vec![query, self.hidden_size],
            "self_attn.k_proj.weight" | "self_attn.v_proj.weight" => vec![key_value, self.hidden_size],
            "self_attn.q_proj.bias" if design.bias == Bias::QueryKeyValue => vec![query],
            "self_attn.k_proj.bias" | "self_attn.v_proj.bias" if design.bias == Bias::QueryKeyValue => {
                vec![key_value]
            }
            "self_attn.q_norm.weight" | "self_attn.k_norm.weight"
                if design.head_norm == HeadNorm::QueryKey =>
            {
                vec![self.head_dim]
            }
            "self_attn.o_proj.weight" => vec![self.hidden_size, query],
            "mlp.gate_proj.weight" | "mlp.up_proj.weight" => vec![self.intermediate_size, self.hidden_size],
            "mlp.down_proj.weight" => vec![self.hidden_size, self.intermediate_size],
            _ => return None,
        })
    }

    fn checked(self, path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| Err(ModelError::Config { path: path.into(), reason });
        if self.layers > MAX_LAYERS {
            return wrong(format!(
                "the number of layers is {}; at most {MAX_LAYERS} are possible",
                self.layers
            ));
        }
        if self.context_length > MAX_CONTEXT {
            let length = self.context_length;
            return wrong(format!("the context length is {length}; at most {MAX_CONTEXT} is possible"));
        }
        let sizes = [
            ("vocabulary", self.vocab_size),
            ("hidden size", self.hidden_size),
            ("intermediate size", self.intermediate_size),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("number of key and value heads", self.kv_heads),
            ("head width", self.head_dim),
            ("context length", self.context_length),
        ];
        if let Some((name, size)) = sizes.into_iter().find(|&(_, size)| size == 0 || size > MAX_SIZE) {
            return wrong(format!("the {name} is {size}, where 1 to {MAX_SIZE} is possible"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return wrong(format!(
                "{} heads are no multiple of {} key and value heads",
                self.heads, self.kv_heads
            ));
        }
        if !(self.query_pre_attn_scalar > 0.0 && self.query_pre_attn_scalar.is_finite()) {
            return wrong(format!("query_pre_attn_scalar is {}", self.query_pre_attn_scalar));
        }
        if !(0.0..=1.0).contains(&self.rms_norm_eps) {
            return wrong(format!("rms_norm_eps is {}, where 0 to 1 is possible", self.rms_norm_eps));
        }
        for rotary in
            [Some(self.rotary), self.sliding_window.map(|window| window.rotary)].into_iter().flatten()
        {
            if let Err(reason) = rotary.check() {
                return wrong(reason);
            }
        }
        if self.sliding_window.is_some_and(|window| window.tokens == 0) {
            return wrong("the sliding window is 0 tokens wide".into());
        }
        if !self.head_dim.is_multiple_of(2) {
            return wrong(format!(
                "a head width of {} is odd; the rotary embedding turns pairs",
                self.head_dim
            ));
        }
        Ok(self)
    }
}
