//! `config.json` of known models: what is read, and what is refused.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::path::Path;

use lancer_model::{
    Config, Family, Head, Llama3Scaling, ModelError, Rotary, RotaryScaling, SlidingWindow, WindowedLayers,
};
use serde_json::{Value, json};

fn read(json: &Value) -> Result<Config, ModelError> {
    Config::from_json(Path::new("config.json"), &json.to_string())
}

/// A configuration with some fields changed.
#[allow(clippy::needless_pass_by_value, reason = "changes are written where they are made")]
fn changed(json: &Value, changes: Value) -> Value {
    let mut json = json.clone();
    for (field, value) in changes.as_object().unwrap() {
        json[field] = value.clone();
    }
    json
}

fn rotary(theta: f64) -> Rotary {
    Rotary { theta, scaling: RotaryScaling::None }
}

/// The fields of Llama 3.2 1B that matter.
fn llama_3_2() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "max_position_embeddings": 131_072, "rope_theta": 500_000.0,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
        "tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false,
    })
}

/// Those of Mistral 7B v0.1.
fn mistral() -> Value {
    json!({
        "model_type": "mistral", "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "max_position_embeddings": 32_768, "rope_theta": 10_000.0, "sliding_window": 4096,
    })
}

/// Those of Qwen3 0.6B.
fn qwen3() -> Value {
    json!({
        "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": 40_960, "rope_theta": 1_000_000,
        "rope_scaling": null, "sliding_window": null, "use_sliding_window": false, "max_window_layers": 28,
        "tie_word_embeddings": true, "attention_bias": false,
    })
}

/// Those of Gemma 3 270M.
fn gemma() -> Value {
    json!({
        "model_type": "gemma3_text", "vocab_size": 262_144, "hidden_size": 640, "intermediate_size": 2048,
        "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 32_768,
        "rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0, "rope_scaling": null, "sliding_window": 512,
        "_sliding_window_pattern": 6, "query_pre_attn_scalar": 256, "attn_logit_softcapping": null,
        "final_logit_softcapping": null, "use_bidirectional_attention": false,
    })
}

#[test]
fn llama_3_is_read() {
    let config = read(&llama_3_2()).unwrap();
    let scaling =
        Llama3Scaling { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
    assert_eq!(config.rotary, Rotary { theta: 500_000.0, scaling: RotaryScaling::Llama3(scaling) });
    assert_eq!((config.family, config.head, config.sliding_window), (Family::Llama, Head::Tied, None));
    let linear = changed(&llama_3_2(), json!({"rope_scaling": {"type": "linear", "factor": 4.0}}));
    assert_eq!(read(&linear).unwrap().rotary.scaling, RotaryScaling::Linear { factor: 4.0 });
}

#[test]
fn mistral_is_read() {
    let config = read(&mistral()).unwrap();
    let window = SlidingWindow { tokens: 4096, layers: WindowedLayers::All, rotary: rotary(10_000.0) };
    assert_eq!((config.sliding_window, config.head_dim), (Some(window), 128));
    assert_eq!(config.window(31), Some(&window));
    let none = changed(&mistral(), json!({"sliding_window": null, "head_dim": 64}));
    let config = read(&none).unwrap();
    assert_eq!((config.sliding_window, config.head_dim), (None, 64));
    // transformers takes 4096 where nothing is said.
    let mut silent = mistral();
    silent.as_object_mut().unwrap().remove("sliding_window");
    assert_eq!(read(&silent).unwrap().sliding_window, Some(window));
}

#[test]
fn qwen3_is_read() {
    let config = read(&qwen3()).unwrap();
    assert_eq!((config.family, config.head_dim, config.sliding_window), (Family::Qwen3, 128, None));
    assert_eq!(config.tensor_shape("self_attn.q_norm.weight"), Some(vec![128]));
    assert_eq!(config.tensor_shape("self_attn.q_proj.bias"), None);
}

#[test]
fn gemma_is_read() {
    let config = read(&gemma()).unwrap();
    let window =
        SlidingWindow { tokens: 512, layers: WindowedLayers::AllButEvery(6), rotary: rotary(10_000.0) };
    assert_eq!((config.head, config.rotary, config.sliding_window), (Head::Tied, rotary(1e6), Some(window)));
    assert_eq!((config.window(4), config.window(5)), (Some(&window), None));
    // As transformers 5 writes the same, and larger Gemmas' stretched frequencies of layers without a window.
    let types = |full_every: usize| -> Vec<&str> {
        let kind = |layer| if layer % full_every == 0 { "full_attention" } else { "sliding_attention" };
        (1..=18).map(kind).collect()
    };
    let new = json!({"layer_types": types(6), "rope_theta": null, "rope_local_base_freq": null, "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }});
    let new = read(&changed(&gemma(), new)).unwrap();
    assert_eq!(new.rotary.scaling, RotaryScaling::Linear { factor: 8.0 });
    assert_eq!(new.sliding_window, Some(window));
    let full = read(&changed(&gemma(), json!({"layer_types": types(1)}))).unwrap();
    assert_eq!(full.sliding_window, None);
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let cases = [
        (gemma(), json!({"final_logit_softcapping": 30.0}), "Gemma 2"),
        (gemma(), json!({"attn_logit_softcapping": 50.0}), "Gemma 2"),
        (gemma(), json!({"model_type": "gemma2"}), "known are llama, mistral, qwen2, qwen3, gemma3_text"),
        (gemma(), json!({"use_bidirectional_attention": true}), "later tokens"),
        (gemma(), json!({"sliding_window_pattern": 6, "layer_types": ["full_attention"]}), "18 layers"),
        (gemma(), json!({"query_pre_attn_scalar": 0}), "query_pre_attn_scalar is 0"),
        (qwen3(), json!({"use_sliding_window": true}), "sliding window"),
        (qwen3(), json!({"attention_bias": true}), "biases"),
        (qwen3(), json!({"hidden_act": "gelu"}), "`gelu`"),
        (mistral(), json!({"sliding_window": 0}), "0 tokens"),
        (llama_3_2(), json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "`yarn`"),
        (llama_3_2(), json!({"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}), "`low_freq_factor`"),
        (llama_3_2(), json!({"rope_scaling": {"rope_type": "linear"}}), "`factor`"),
        (llama_3_2(), json!({"rope_scaling": {"partial_rotary_factor": 0.5}}), "a part of each head"),
    ];
    for (config, changes, said) in cases {
        let error = read(&changed(&config, changes)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
