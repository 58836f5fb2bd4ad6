//! A model's shape, from `config.json` or from GGUF metadata.

use std::path::Path;

use serde::Deserialize;

use crate::{ModelError, gguf::Metadata};

/// A family of models: transformers that differ in a few places only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Llama and its kin (SmolLM2, Mistral without sliding windows).
    Llama,
    /// Qwen2 and Qwen2.5: biases on the query, key and value projections.
    Qwen2,
}

impl Family {
    const ALL: [Self; 2] = [Self::Llama, Self::Qwen2];

    /// The name, the same in `config.json` (`model_type`) and GGUF (`general.architecture`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Whether the query, key and value projections have biases.
    pub fn has_attention_bias(self) -> bool {
        self == Self::Qwen2
    }
}

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
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f64,
    /// Added to the mean square in each RMS norm.
    pub rms_norm_eps: f64,
    /// The longest sequence the model was trained for.
    pub context_length: usize,
    /// Where the head's weights are.
    pub head: Head,
}

/// The part of `config.json` that is used; its many other fields are for other programs.
#[derive(Deserialize)]
struct Json {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rope_theta: Option<f64>,
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
}

/// The rotary base of models that do not say theirs.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;

impl Config {
    /// Reads the text of `config.json`. `path` is named in errors.
    pub fn from_json(path: &Path, text: &str) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.into(), reason };
        let json: Json = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let family =
            Family::from_name(&json.model_type).ok_or_else(|| wrong(unknown_family(&json.model_type)))?;
        for rope in [&json.rope_parameters, &json.rope_scaling].into_iter().flatten() {
            if let Some(kind) = rope.rope_type.as_deref().filter(|&kind| kind != "default") {
                return Err(wrong(format!(
                    "rope scaling `{kind}` cannot be computed yet; only `default` can"
                )));
            }
        }
        if (json.attention_bias && family == Family::Llama) || json.mlp_bias {
            return Err(wrong("a Llama with biases cannot be computed yet".into()));
        }
        let rope_theta =
            json.rope_theta.or_else(|| json.rope_parameters.as_ref().and_then(|rope| rope.rope_theta));
        Self {
            family,
            vocab_size: json.vocab_size,
            hidden_size: json.hidden_size,
            intermediate_size: json.intermediate_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            kv_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
            head_dim: json.head_dim.unwrap_or_else(|| json.hidden_size / json.num_attention_heads.max(1)),
            rope_theta: rope_theta.unwrap_or(DEFAULT_ROPE_THETA),
            rms_norm_eps: json.rms_norm_eps,
            context_length: json.max_position_embeddings,
            head: if json.tie_word_embeddings { Head::Tied } else { Head::Separate },
        }
        .checked(path)
    }

    /// Reads GGUF metadata. `vocab_size` and `head` come from the tensors, which metadata does not describe.
    pub fn from_gguf(
        path: &Path,
        metadata: &Metadata,
        vocab_size: usize,
        head: Head,
    ) -> Result<Self, ModelError> {
        let missing = |key: &str| ModelError::Metadata {
            path: path.into(),
            key: key.into(),
            reason: "it is missing".into(),
        };
        let architecture = "general.architecture";
        let name = metadata.text(path, architecture)?.ok_or_else(|| missing(architecture))?;
        let family = Family::from_name(name)
            .ok_or_else(|| ModelError::Config { path: path.into(), reason: unknown_family(name) })?;
        let optional = |key: &str| metadata.count(path, &format!("{name}.{key}"));
        let count = |key: &str| match optional(key) {
            Ok(None) => Err(missing(&format!("{name}.{key}"))),
            Ok(Some(count)) => Ok(count as usize),
            Err(error) => Err(error),
        };
        let (hidden_size, heads) = (count("embedding_length")?, count("attention.head_count")?);
        let epsilon = format!("{name}.attention.layer_norm_rms_epsilon");
        if let Some(kind) =
            metadata.text(path, &format!("{name}.rope.scaling.type"))?.filter(|&kind| kind != "none")
        {
            let reason = format!("rope scaling `{kind}` cannot be computed yet");
            return Err(ModelError::Config { path: path.into(), reason });
        }
        Self {
            family,
            vocab_size,
            hidden_size,
            intermediate_size: count("feed_forward_length")?,
            layers: count("block_count")?,
            heads,
            kv_heads: optional("attention.head_count_kv")?.map_or(heads, |n| n as usize),
            head_dim: optional("attention.key_length")?
                .map_or_else(|| hidden_size / heads.max(1), |n| n as usize),
            rope_theta: metadata
                .float(path, &format!("{name}.rope.freq_base"))?
                .unwrap_or(DEFAULT_ROPE_THETA),
            rms_norm_eps: metadata.float(path, &epsilon)?.ok_or_else(|| missing(&epsilon))?,
            context_length: count("context_length")?,
            head,
        }
        .checked(path)
    }

    /// The shape of the tensor of this Hugging Face name (without `model.layers.N.`); `None` where there is none.
    pub fn tensor_shape(&self, part: &str) -> Option<Vec<usize>> {
        let (query, key_value) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        Some(match part {
            "model.embed_tokens.weight" => vec![self.vocab_size, self.hidden_size],
            "lm_head.weight" if self.head == Head::Separate => vec![self.vocab_size, self.hidden_size],
            "model.norm.weight" | "input_layernorm.weight" | "post_attention_layernorm.weight" => {
                vec![self.hidden_size]
            }
            "self_attn.q_proj.weight" => vec![query, self.hidden_size],
            "self_attn.k_proj.weight" | "self_attn.v_proj.weight" => vec![key_value, self.hidden_size],
            "self_attn.q_proj.bias" if self.family.has_attention_bias() => vec![query],
            "self_attn.k_proj.bias" | "self_attn.v_proj.bias" if self.family.has_attention_bias() => {
                vec![key_value]
            }
            "self_attn.o_proj.weight" => vec![self.hidden_size, query],
            "mlp.gate_proj.weight" | "mlp.up_proj.weight" => vec![self.intermediate_size, self.hidden_size],
            "mlp.down_proj.weight" => vec![self.hidden_size, self.intermediate_size],
            _ => return None,
        })
    }

    fn checked(self, path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| Err(ModelError::Config { path: path.into(), reason });
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
        if let Some((name, size)) = sizes.into_iter().find(|&(_, size)| size == 0 || size > u32::MAX as usize)
        {
            return wrong(format!("the {name} is {size}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return wrong(format!(
                "{} heads are no multiple of {} key and value heads",
                self.heads, self.kv_heads
            ));
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

fn unknown_family(name: &str) -> String {
    let known: Vec<&str> = Family::ALL.into_iter().map(Family::name).collect();
    format!("the model family `{name}` is not known; known are {}", known.join(", "))
}
