//! Reading `config.json`.

mod rope;
mod written;

use std::path::Path;

use serde::{Deserialize, Deserializer};

use self::rope::Ropes;
use super::{Config, Head};
use crate::{Family, ModelError, Rotary, RotaryScaling, SlidingWindow, WindowedLayers};

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
    /// The activation, under the name of most families and that of Gemma.
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_parameters: Option<Ropes>,
    rope_scaling: Option<Ropes>,
    #[serde(default, deserialize_with = "window")]
    sliding_window: Window,
    #[serde(default)]
    use_sliding_window: bool,
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    use_bidirectional_attention: Option<bool>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

/// What transformers takes for fields that a file leaves out.
struct Defaults {
    /// `None`: the heads share the hidden width.
    head_dim: Option<usize>,
    theta: f64,
    head: Head,
}

/// transformers' sliding window for a file that says nothing of one.
const DEFAULT_WINDOW: usize = 4096;
/// Of Gemma 3: every so-many-th layer has no window.
const DEFAULT_PATTERN: usize = 6;
/// Of Gemma 3: the rotary base of layers with a window.
const DEFAULT_LOCAL_THETA: f64 = 10_000.0;

/// What `layer_types` calls layers without a window, and with one.
const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

impl Config {
    /// Reads the text of `config.json`. `path` is named in errors.
    pub fn from_json(path: &Path, text: &str) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Config { path: path.into(), reason };
        let json: Json = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let family = Family::from_model_type(&json.model_type).map_err(wrong)?;
        json.refuse_what_cannot_be_computed(family).map_err(wrong)?;
        let defaults = Defaults::of(family);
        let rotary = json.rotary(&defaults).map_err(wrong)?;
        let head_dim = json.head_dim.or(defaults.head_dim);
        let head_dim = head_dim.unwrap_or_else(|| json.hidden_size / json.num_attention_heads.max(1));
        let head = match json.tie_word_embeddings {
            Some(true) => Head::Tied,
            Some(false) => Head::Separate,
            None => defaults.head,
        };
        Self {
            family,
            vocab_size: json.vocab_size,
            hidden_size: json.hidden_size,
            intermediate_size: json.intermediate_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            kv_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
            head_dim,
            query_pre_attn_scalar: json.query_pre_attn_scalar.unwrap_or(head_dim as f64),
            rotary,
            sliding_window: json.sliding_window(family, rotary).map_err(wrong)?,
            rms_norm_eps: json.rms_norm_eps,
            context_length: json.max_position_embeddings,
            head,
        }
        .checked(path)
    }
}

impl Defaults {
    fn of(family: Family) -> Self {
        let most = Self { head_dim: None, theta: Rotary::DEFAULT_THETA, head: Head::Separate };
        match family {
            Family::Llama | Family::Mistral | Family::Qwen2 => most,
            Family::Qwen3 => Self { head_dim: Some(128), ..most },
            Family::Gemma3 => Self { head_dim: Some(256), theta: 1_000_000.0, head: Head::Tied },
        }
    }
}

impl Json {
    fn refuse_what_cannot_be_computed(&self, family: Family) -> Result<(), String> {
        // Qwen2 has biases and no field for them.
        if (self.attention_bias && family != Family::Qwen2) || self.mlp_bias {
            return Err(format!("a `{}` with biases cannot be computed yet", self.model_type));
        }
        let activation = family.design().activation.json_name();
        let named = self.hidden_activation.as_deref().or(self.hidden_act.as_deref());
        if let Some(other) = named.filter(|&name| name != activation) {
            let family = &self.model_type;
            return Err(format!(
                "the activation `{other}` in a `{family}` cannot be computed; `{activation}` can"
            ));
        }
        if self.use_sliding_window {
            return Err(format!("a sliding window in a `{}` cannot be computed yet", self.model_type));
        }
        if self.use_bidirectional_attention == Some(true) {
            return Err("attention to later tokens cannot be computed".into());
        }
        if family != Family::Gemma3 && self.query_pre_attn_scalar.is_some() {
            return Err(format!("query_pre_attn_scalar in a `{}` cannot be computed yet", self.model_type));
        }
        if self.attn_logit_softcapping.is_some() || self.final_logit_softcapping.is_some() {
            return Err("capped logits (Gemma 2's `logit_softcapping`) cannot be computed yet".into());
        }
        Ok(())
    }

    /// Where both are given, transformers takes the older one.
    fn ropes(&self) -> Option<&Ropes> {
        self.rope_scaling.as_ref().or(self.rope_parameters.as_ref())
    }

    fn rotary(&self, defaults: &Defaults) -> Result<Rotary, String> {
        let rope = self.ropes().map(Ropes::full);
        let theta = rope.and_then(|rope| rope.rope_theta).or(self.rope_theta);
        Ok(Rotary {
            theta: theta.unwrap_or(defaults.theta),
            scaling: match rope {
                Some(rope) => rope.scaling(self.max_position_embeddings)?,
                None => RotaryScaling::None,
            },
        })
    }

    fn sliding_window(&self, family: Family, rotary: Rotary) -> Result<Option<SlidingWindow>, String> {
        let (layers, rotary) = match family {
            // Qwen's files have a field for one that is not used (`use_sliding_window` is refused above).
            Family::Llama | Family::Qwen2 | Family::Qwen3 => return Ok(None),
            Family::Mistral => (Some(WindowedLayers::All), rotary),
            Family::Gemma3 => (self.windowed_layers()?, self.local_rotary()?),
        };
        let tokens = match self.sliding_window {
            Window::Default => Some(DEFAULT_WINDOW),
            Window::None => None,
            Window::Tokens(tokens) => Some(tokens),
        };
        Ok(layers.zip(tokens).map(|(layers, tokens)| SlidingWindow { tokens, layers, rotary }))
    }

    fn windowed_layers(&self) -> Result<Option<WindowedLayers>, String> {
        let Some(types) = &self.layer_types else {
            return Ok(WindowedLayers::from_pattern(self.sliding_window_pattern.unwrap_or(DEFAULT_PATTERN)));
        };
        let windowed = types
            .iter()
            .map(|name| match name.as_str() {
                FULL => Ok(false),
                SLIDING => Ok(true),
                other => Err(format!("a layer of the type `{other}` cannot be computed yet")),
            })
            .collect::<Result<Vec<bool>, _>>()?;
        if windowed.len() != self.num_hidden_layers {
            return Err(format!("{} layer_types for {} layers", windowed.len(), self.num_hidden_layers));
        }
        WindowedLayers::from_list(&windowed)
    }

    /// That of Gemma's layers with a window. `rope_scaling` is for the others.
    fn local_rotary(&self) -> Result<Rotary, String> {
        let rope = self.rope_parameters.as_ref().and_then(Ropes::sliding);
        let theta = rope.and_then(|rope| rope.rope_theta).or(self.rope_local_base_freq);
        Ok(Rotary {
            theta: theta.unwrap_or(DEFAULT_LOCAL_THETA),
            scaling: match rope {
                Some(rope) => rope.scaling(self.max_position_embeddings)?,
                None => RotaryScaling::None,
            },
        })
    }
}

/// What a file says of a sliding window.
#[derive(Debug, Clone, Copy, Default)]
enum Window {
    /// Nothing: there is one of the default size.
    #[default]
    Default,
    /// That there is none.
    None,
    /// That it has so many tokens.
    Tokens(usize),
}

/// A field that is there, `null` or not.
fn window<'de, D: Deserializer<'de>>(field: D) -> Result<Window, D::Error> {
    Ok(Option::deserialize(field)?.map_or(Window::None, Window::Tokens))
}
