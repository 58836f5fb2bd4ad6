//! Tensor names: Hugging Face's, which lancer uses, and GGUF's.

use crate::{BlockNorms, Config};

/// The tensors outside of the layers, Hugging Face's name and GGUF's.
const MODEL: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// The tensors of a layer, after `model.layers.N.` and `blk.N.`, but for its norms.
const LAYER: [(&str, &str); 12] = [
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

/// The norms of a layer. Hugging Face's `post_attention_layernorm` is the MLP's in most families, and that of what the
/// attention gives where there is one.
fn norms(norms: BlockNorms) -> &'static [(&'static str, &'static str)] {
    match norms {
        BlockNorms::Before => &[
            ("input_layernorm.weight", "attn_norm.weight"),
            ("post_attention_layernorm.weight", "ffn_norm.weight"),
        ],
        BlockNorms::BeforeAndAfter => &[
            ("input_layernorm.weight", "attn_norm.weight"),
            ("post_attention_layernorm.weight", "post_attention_norm.weight"),
            ("pre_feedforward_layernorm.weight", "ffn_norm.weight"),
            ("post_feedforward_layernorm.weight", "post_ffw_norm.weight"),
        ],
    }
}

fn layer(config: &Config) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    norms(config.family.design().block_norms).iter().chain(&LAYER)
}

/// All Hugging Face names that a model may have, those of absent tensors (biases, norms, a separate head) included, each
/// with the part of it that is the same in every layer.
pub(crate) fn all(config: &Config) -> impl Iterator<Item = (String, &'static str)> {
    let outside = MODEL.iter().map(|&(name, _)| (name.to_owned(), name));
    let inside = (0..config.layers).flat_map(move |number| {
        layer(config).map(move |&(part, _)| (format!("model.layers.{number}.{part}"), part))
    });
    outside.chain(inside)
}

/// The Hugging Face name of a layer's tensor by its GGUF name.
pub(crate) fn from_gguf(name: &str, config: &Config) -> Option<String> {
    let (number, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let (hugging_face, _) = layer(config).find(|(_, gguf)| *gguf == part)?;
    Some(format!("model.layers.{number}.{hugging_face}"))
}

/// The GGUF name of a tensor; `None` where GGUF has none.
pub(crate) fn to_gguf(name: &str, config: &Config) -> Option<String> {
    if let Some((_, gguf)) = MODEL.iter().find(|(hugging_face, _)| *hugging_face == name) {
        return Some((*gguf).to_owned());
    }
    let (number, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (_, gguf) = layer(config).find(|(hugging_face, _)| *hugging_face == part)?;
    Some(format!("blk.{number}.{gguf}"))
}
