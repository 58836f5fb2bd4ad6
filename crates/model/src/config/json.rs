//! `config.json`, read and written.

use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Config, Head};
use crate::{
    Family, Llama3Scaling, ModelError, Rotary, RotaryScaling, SlidingWindow, WindowedLayers,
};

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
    hidden_act: Option<String>,
    rope_theta: Option<f64>,
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    /// `Some(None)` where the file says that there is none.
    #[serde(default, deserialize_with = "given")]
    sliding_window: Option<Option<usize>>,
    #[serde(default)]
    use_sliding_window: bool,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

/// Both of the names that transformers has had for it, `rope_scaling` and `rope_parameters`.
#[derive(Default, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`.
    r#type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
}

impl Config {
    /// Reads the text of `config.json`. `path` is named in errors.
    pub fn from_json(path: &Path, text: &str) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.into(), reason };
        let json: Json = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let family = Family::from_model_type(&json.model_type).map_err(wrong)?;
        json.refuse_what_cannot_be_computed(family).map_err(wrong)?;
        let rotary = json.rotary().map_err(wrong)?;
        Self {
            family,
            vocab_size: json.vocab_size,
            hidden_size: json.hidden_size,
            intermediate_size: json.intermediate_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            kv_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
            head_dim: json.head_dim(family),
            rotary,
            sliding_window: json.sliding_window(family, rotary),
            rms_norm_eps: json.rms_norm_eps,
            context_length: json.max_position_embeddings,
            head: if json.tie_word_embeddings { Head::Tied } else { Head::Separate },
        }
        .checked(path)
    }

    /// The fields of a `config.json`, those aside that the tokenizer and the weights' type decide.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let design = self.family.design();
        let mut fields = fields(json!({
            "architectures": [design.class],
            "model_type": design.model_type,
            "hidden_act": ACTIVATION,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "rope_theta": self.rotary.theta,
            "rms_norm_eps": self.rms_norm_eps,
            "max_position_embeddings": self.context_length,
            "tie_word_embeddings": self.head == Head::Tied,
        }));
        match self.rotary.scaling {
            RotaryScaling::None => None,
            RotaryScaling::Linear { factor } => Some(json!({"rope_type": "linear", "factor": factor})),
            RotaryScaling::Llama3(scaling) => Some(json!({
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_context,
            })),
        }
        .and_then(|scaling| fields.insert("rope_scaling".into(), scaling));
        if self.family == Family::Mistral {
            // `null`, too, is said: without the field transformers takes its default.
            let tokens = self.sliding_window.map(|window| window.tokens);
            fields.insert("sliding_window".into(), json!(tokens));
        }
        fields
    }
}

/// The activation of the MLP's gate in `config.json`.
const ACTIVATION: &str = "silu";
/// transformers' sliding window for a file that says nothing of one.
const DEFAULT_WINDOW: usize = 4096;

impl Json {
    fn refuse_what_cannot_be_computed(&self, family: Family) -> Result<(), String> {
        // Qwen2 has biases and no field for them.
        if (self.attention_bias && family != Family::Qwen2) || self.mlp_bias {
            return Err(format!("a `{}` with biases cannot be computed yet", self.model_type));
        }
        if let Some(other) = self.hidden_act.as_deref().filter(|&name| name != ACTIVATION) {
            return Err(format!("the activation `{other}` cannot be computed yet; only `{ACTIVATION}` can"));
        }
        if self.use_sliding_window {
            return Err(format!("a sliding window in a `{}` cannot be computed yet", self.model_type));
        }
        Ok(())
    }

    /// What the file says, or transformers' default.
    fn head_dim(&self, family: Family) -> usize {
        self.head_dim.unwrap_or_else(|| match family {
            Family::Llama | Family::Mistral | Family::Qwen2 => {
                self.hidden_size / self.num_attention_heads.max(1)
            }
            Family::Qwen3 => 128,
        })
    }

    fn sliding_window(&self, family: Family, rotary: Rotary) -> Option<SlidingWindow> {
        match family {
            // Qwen's files have a field for one that is not used (`use_sliding_window` is refused above).
            Family::Llama | Family::Qwen2 | Family::Qwen3 => None,
            Family::Mistral => {
                let tokens = self.sliding_window.unwrap_or(Some(DEFAULT_WINDOW))?;
                Some(SlidingWindow { tokens, layers: WindowedLayers::All, rotary })
            }
        }
    }

    fn rotary(&self) -> Result<Rotary, String> {
        // Where both are given, transformers takes the older one.
        let rope = self.rope_scaling.as_ref().or(self.rope_parameters.as_ref());
        let theta = rope.and_then(|rope| rope.rope_theta).or(self.rope_theta);
        Ok(Rotary {
            theta: theta.unwrap_or(Rotary::DEFAULT_THETA),
            scaling: match rope {
                Some(rope) => rope.scaling(self.max_position_embeddings)?,
                None => RotaryScaling::None,
            },
        })
    }
}

impl Rope {
    fn scaling(&self, context_length: usize) -> Result<RotaryScaling, String> {
        if self.partial_rotary_factor.is_some_and(|part| part != 1.0) {
            return Err("a rotary embedding of a part of each head cannot be computed yet".into());
        }
        let kind = self.rope_type.as_deref().or(self.r#type.as_deref()).unwrap_or("default");
        let given = |name: &str, value: Option<f64>| {
            value
                .filter(|&value| value > 0.0)
                .ok_or_else(|| format!("rope scaling `{kind}` needs `{name}`, a number above 0"))
        };
        Ok(match kind {
            "default" => RotaryScaling::None,
            "linear" => RotaryScaling::Linear { factor: given("factor", self.factor)? },
            "llama3" => RotaryScaling::Llama3(Llama3Scaling {
                factor: given("factor", self.factor)?,
                low_freq_factor: given("low_freq_factor", self.low_freq_factor)?,
                high_freq_factor: given("high_freq_factor", self.high_freq_factor)?,
                original_context: self.original_max_position_embeddings.unwrap_or(context_length),
            }),
            other => {
                return Err(format!(
                    "rope scaling `{other}` cannot be computed yet; default, linear and llama3 can"
                ));
            }
        })
    }
}

/// A field that is there, `null` or not.
fn given<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(field).map(Some)
}

fn fields(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
