//! Writes a model of Qwen2-0.5B's shape with random weights, to measure how cost grows with the size of a model.
//!
//! `cargo run --release -p lancer-burn --example random_model -- FOLDER TOKENIZER`; the tokenizer's files are taken from the
//! folder TOKENIZER, which is a Qwen2 model's.

use std::{env, error::Error, fs, path::Path};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, View};
use serde_json::{Value, json};

const HIDDEN: usize = 896;
const LAYERS: usize = 24;
const HEADS: usize = 14;
const KV_HEADS: usize = 2;
const INTERMEDIATE: usize = 4864;
const VOCABULARY: usize = 151_936;

/// A tensor of random numbers in bf16, made when it is written.
struct Random {
    shape: Vec<usize>,
    seed: u64,
}

impl View for &Random {
    fn dtype(&self) -> Dtype {
        Dtype::BF16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let count = self.shape.iter().product();
        // A norm's weights are about 1, a matrix's as wide as the inverse root of its rows.
        let (middle, bound) = match self.shape[..] {
            [_, columns] => (0.0, (3.0 / columns as f32).sqrt()),
            _ => (1.0, 0.01),
        };
        let numbers = (0..count).map(|_| middle + random.random_range(-bound..=bound));
        numbers
            .flat_map(|number: f32| ((number.to_bits() >> 16) as u16).to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }

    fn data_len(&self) -> usize {
        2 * self.shape.iter().product::<usize>()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, tokenizer] = &arguments[..] else { return Err("random_model FOLDER TOKENIZER".into()) };
    let (folder, tokenizer) = (Path::new(folder), Path::new(tokenizer));
    fs::create_dir_all(folder)?;
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
        fs::copy(tokenizer.join(file), folder.join(file))?;
    }
    let mut config: Value = serde_json::from_slice(&fs::read(tokenizer.join("config.json"))?)?;
    let shape = json!({
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY,
        "tie_word_embeddings": true, "max_position_embeddings": 32_768,
        "layer_types": vec!["full_attention"; LAYERS], "dtype": "bfloat16",
    });
    if let (Value::Object(config), Value::Object(shape)) = (&mut config, shape) {
        config.extend(shape);
    }
    fs::write(folder.join("config.json"), serde_json::to_string_pretty(&config)?)?;

    let tensors: Vec<(String, Random)> = shapes()
        .into_iter()
        .enumerate()
        .map(|(place, (name, shape))| (name, Random { shape, seed: place as u64 }))
        .collect();
    let views = tensors.iter().map(|(name, tensor)| (name, tensor));
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors"))?;
    Ok(())
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let kv = HIDDEN / HEADS * KV_HEADS;
    let mut all = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm.weight", vec![HIDDEN]),
            ("post_attention_layernorm.weight", vec![HIDDEN]),
            ("self_attn.q_proj.weight", vec![HIDDEN, HIDDEN]),
            ("self_attn.q_proj.bias", vec![HIDDEN]),
            ("self_attn.k_proj.weight", vec![kv, HIDDEN]),
            ("self_attn.k_proj.bias", vec![kv]),
            ("self_attn.v_proj.weight", vec![kv, HIDDEN]),
            ("self_attn.v_proj.bias", vec![kv]),
            ("self_attn.o_proj.weight", vec![HIDDEN, HIDDEN]),
            ("mlp.gate_proj.weight", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.up_proj.weight", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.down_proj.weight", vec![HIDDEN, INTERMEDIATE]),
        ] {
            all.push((format!("model.layers.{layer}.{name}"), shape));
        }
    }
    all
}
