//! A `config.json` as transformers reads it, older versions too.

use serde_json::{Map, Value, json};

use super::{super::Config, rope};
use crate::{Family, Head, WindowedLayers};

impl Config {
    /// The fields of a `config.json`, those aside that the tokenizer and the weights' type decide.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let design = self.family.design();
        let mut fields = json!({
            "architectures": [design.class],
            "model_type": design.model_type,
            (design.activation_field): design.activation.json_name(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "rope_theta": self.rotary.theta,
            "rope_scaling": rope::written(self.rotary.scaling),
            "rms_norm_eps": self.rms_norm_eps,
            "max_position_embeddings": self.context_length,
            "tie_word_embeddings": self.head == Head::Tied,
        });
        let tokens = self.sliding_window.map(|window| window.tokens);
        match self.family {
            Family::Llama | Family::Qwen2 | Family::Qwen3 => {}
            // `null`, too, is said: without the field transformers takes its default.
            Family::Mistral => fields["sliding_window"] = json!(tokens),
            Family::Gemma3 => {
                fields["sliding_window"] = json!(tokens);
                fields["sliding_window_pattern"] = json!(self.pattern());
                fields["layer_types"] = (0..self.layers).map(|layer| self.layer_type(layer)).collect();
                // transformers takes whole numbers only.
                let scalar = self.query_pre_attn_scalar;
                fields["query_pre_attn_scalar"] =
                    if scalar.fract() == 0.0 { json!(scalar as u64) } else { json!(scalar) };
                if let Some(window) = self.sliding_window {
                    fields["rope_local_base_freq"] = json!(window.rotary.theta);
                }
            }
        }
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// Every so-many-th layer has no window.
    fn pattern(&self) -> usize {
        match self.sliding_window.map(|window| window.layers) {
            None => 1,
            Some(WindowedLayers::AllButEvery(period)) => period,
            Some(WindowedLayers::All) => self.layers + 1,
        }
    }

    fn layer_type(&self, layer: usize) -> Value {
        Value::from(if self.window(layer).is_some() { super::SLIDING } else { super::FULL })
    }
}
