//! The fields of `config.json` that describe the rotary embedding.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Llama3Scaling, RotaryScaling};

/// What `rope_scaling` and `rope_parameters` say, the older and the newer name that transformers has for it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Ropes {
    /// Layers with a sliding window have one of their own.
    ByLayer { full_attention: Rope, sliding_attention: Rope },
    /// All layers have the same.
    Same(Rope),
}

/// One rotary embedding.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "they are the file's names")]
pub(super) struct Rope {
    pub(super) rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`.
    r#type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
}

impl Ropes {
    /// That of layers without a sliding window.
    pub(super) fn full(&self) -> &Rope {
        match self {
            Self::ByLayer { full_attention, .. } => full_attention,
            Self::Same(rope) => rope,
        }
    }

    /// That of layers with one, where it is given apart.
    pub(super) fn sliding(&self) -> Option<&Rope> {
        match self {
            Self::ByLayer { sliding_attention, .. } => Some(sliding_attention),
            Self::Same(_) => None,
        }
    }
}

impl Rope {
    pub(super) fn scaling(&self, context_length: usize) -> Result<RotaryScaling, String> {
        if self.partial_rotary_factor.is_some_and(|part| part < 1.0) {
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

/// The field `rope_scaling`.
pub(super) fn written(scaling: RotaryScaling) -> Value {
    match scaling {
        RotaryScaling::None => Value::Null,
        RotaryScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RotaryScaling::Llama3(scaling) => json!({
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_context,
        }),
    }
}
