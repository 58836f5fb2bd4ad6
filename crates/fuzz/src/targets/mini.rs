//! The smallest models that there can be, as GGUF: a layer of a width of 32.

use std::fs;

use lancer_model::{
    ModelError, Tensor,
    gguf::{self, GgufFormat, GgufTensor, Metadata, Value},
};

const WIDTH: usize = 32;

/// A model with each kind of tokenizer.
pub(super) fn all() -> Vec<Vec<u8>> {
    [bytes(), pieces()].into_iter().filter_map(|tokenizer| model(&tokenizer).ok()).collect()
}

/// Text that a chat template is rendered from.
const TEMPLATE: &str = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}\
    {% if add_generation_prompt %}<s>assistant: {% endif %}";

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(texts.into_iter().map(|text| Value::String(text.into())).collect())
}

/// Byte-level, with the characters of GPT-2 for bytes.
fn bytes() -> Vec<(&'static str, Value)> {
    let mut others = (0x100_u32..).filter_map(char::from_u32);
    let mut tokens: Vec<String> = vec!["<s>".into(), "</s>".into()];
    for byte in 0..=u8::MAX {
        let itself = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let character = if itself { Some(char::from(byte)) } else { others.next() };
        tokens.extend(character.map(String::from));
    }
    tokens.extend(["he", "ll", "hell", "\u{120}h"].map(String::from));
    let types = tokens.iter().map(|token| Value::I32(if token.ends_with("s>") { 3 } else { 1 }));
    vec![
        ("model", Value::String("gpt2".into())),
        ("pre", Value::String("smollm".into())),
        ("token_type", Value::Array(types.collect())),
        ("tokens", texts(tokens.iter().map(String::as_str))),
        ("merges", texts(["h e", "l l", "he ll", "\u{120} h"])),
        ("bos_token_id", Value::U32(0)),
        ("eos_token_id", Value::U32(1)),
    ]
}

/// `SentencePiece`, whose pieces have scores.
fn pieces() -> Vec<(&'static str, Value)> {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    tokens.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(
        ["\u{2581}", "h", "e", "l", "o", "he", "ll", "hell", "hello", "\u{2581}hello"].map(String::from),
    );
    let types = (0..tokens.len())
        .map(|id| Value::I32([2, 3, 3].get(id).copied().unwrap_or(if id < 259 { 6 } else { 1 })));
    let scores = (0..tokens.len()).map(|id| Value::F32(-(id as f32)));
    vec![
        ("model", Value::String("llama".into())),
        ("token_type", Value::Array(types.collect())),
        ("scores", Value::Array(scores.collect())),
        ("tokens", texts(tokens.iter().map(String::as_str))),
        ("bos_token_id", Value::U32(1)),
        ("eos_token_id", Value::U32(2)),
        ("add_space_prefix", Value::Bool(true)),
    ]
}

fn model(tokenizer: &[(&'static str, Value)]) -> Result<Vec<u8>, ModelError> {
    let shape = [
        ("block_count", Value::U32(1)),
        ("context_length", Value::U32(64)),
        ("embedding_length", Value::U32(WIDTH as u32)),
        ("feed_forward_length", Value::U32(2 * WIDTH as u32)),
        ("attention.head_count", Value::U32(2)),
        ("attention.head_count_kv", Value::U32(1)),
        ("attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("rope.dimension_count", Value::U32(16)),
        ("rope.freq_base", Value::F32(10_000.0)),
    ];
    let mut metadata = Metadata::default();
    let mut rows = 0;
    metadata.0.insert("general.architecture".into(), Value::String("llama".into()));
    metadata.0.insert("tokenizer.chat_template".into(), Value::String(TEMPLATE.into()));
    metadata.0.extend(shape.map(|(key, value)| (format!("llama.{key}"), value)));
    for (key, value) in tokenizer {
        if let ("tokens", Value::Array(tokens)) = (*key, value) {
            rows = tokens.len();
        }
        metadata.0.insert(format!("tokenizer.ggml.{key}"), value.clone());
    }
    let tensors = [
        ("token_embd.weight", vec![rows, WIDTH]),
        ("output_norm.weight", vec![WIDTH]),
        ("blk.0.attn_norm.weight", vec![WIDTH]),
        ("blk.0.ffn_norm.weight", vec![WIDTH]),
        ("blk.0.attn_q.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_k.weight", vec![WIDTH / 2, WIDTH]),
        ("blk.0.attn_v.weight", vec![WIDTH / 2, WIDTH]),
        ("blk.0.attn_output.weight", vec![WIDTH, WIDTH]),
        ("blk.0.ffn_gate.weight", vec![2 * WIDTH, WIDTH]),
        ("blk.0.ffn_up.weight", vec![2 * WIDTH, WIDTH]),
        ("blk.0.ffn_down.weight", vec![WIDTH, 2 * WIDTH]),
    ]
    .map(|(name, shape)| GgufTensor { name: name.into(), shape });
    let io = |source| ModelError::Io { path: "scratch".into(), action: "write", source };
    let folder = tempfile::tempdir().map_err(io)?;
    let path = folder.path().join("mini.gguf");
    gguf::write(&path, &metadata, &tensors, GgufFormat::Q8_0, |tensor| {
        let weights = tensor.shape.iter().product::<usize>();
        let data = (0..weights).map(|place| ((place * 37 % 101) as f32 - 50.0) / 500.0).collect();
        Ok::<_, ModelError>(Tensor { shape: tensor.shape.clone(), data })
    })?;
    fs::read(&path).map_err(io)
}
