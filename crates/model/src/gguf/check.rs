//! What a GGUF file says of its model, held against what engines take for granted: llama.cpp ends the process over a number
//! out of its range.

use std::{collections::HashMap, path::Path};

use super::{GgufFile, Metadata, Value};
use crate::ModelError;

/// The most layers that llama.cpp holds (`LLAMA_MAX_LAYERS`).
const MAX_LAYERS: u64 = 512;
/// The most experts that llama.cpp holds (`LLAMA_MAX_EXPERTS`).
const MAX_EXPERTS: u64 = 1024;
/// Widths and lengths beyond these are in no model.
const MAX_WIDTH: u64 = 1 << 24;
const MAX_CONTEXT: u64 = 1 << 28;
/// The most tokens of a vocabulary; the largest of known models have some 260,000.
pub(crate) const MAX_TOKENS: usize = 1 << 22;
/// The longest token, in bytes. A piece's ways to be put together are all tried, which takes the square of its length.
pub(crate) const MAX_TOKEN_BYTES: usize = 2048;

/// Numbers under the architecture's name, their ranges, and whether every model has them.
const COUNTS: [(&str, u64, u64, Presence); 14] = [
    ("block_count", 1, MAX_LAYERS, Presence::Needed),
    ("context_length", 1, MAX_CONTEXT, Presence::Needed),
    ("embedding_length", 1, MAX_WIDTH, Presence::Needed),
    ("feed_forward_length", 0, MAX_WIDTH, Presence::Optional),
    ("attention.head_count", 1, MAX_WIDTH, Presence::Optional),
    ("attention.head_count_kv", 0, MAX_WIDTH, Presence::Optional),
    ("attention.key_length", 1, MAX_WIDTH, Presence::Optional),
    ("attention.value_length", 1, MAX_WIDTH, Presence::Optional),
    ("attention.sliding_window", 0, MAX_CONTEXT, Presence::Optional),
    ("rope.dimension_count", 0, MAX_WIDTH, Presence::Optional),
    ("rope.scaling.original_context_length", 1, MAX_CONTEXT, Presence::Optional),
    ("nextn_predict_layers", 0, MAX_LAYERS, Presence::Optional),
    ("expert_count", 0, MAX_EXPERTS, Presence::Optional),
    ("expert_used_count", 0, MAX_EXPERTS, Presence::Optional),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    Optional,
}

/// Numbers that are added to squares: not negative.
const EPSILONS: [&str; 3] =
    ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "attention.group_norm_epsilon"];
/// Numbers that are divided by, or whose powers are taken: above 0.
const FACTORS: [&str; 4] =
    ["rope.freq_base", "rope.freq_base_swa", "rope.scaling.factor", "rope.scaling.attn_factor"];
/// llama.cpp's names of ways to stretch the rotary embedding.
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];

/// The kinds of tokenizers that models which write text have in llama.cpp.
const TOKENIZERS: [&str; 3] = ["llama", "gpt2", "gemma4"];
/// The one whose pieces have scores, and the type number of tokens that stand for a byte.
const SENTENCE_PIECE: &str = "llama";
const BYTE: u64 = 6;

impl GgufFile {
    /// Checks what the file says of its model: numbers in their ranges, a vocabulary without contradictions. A file that
    /// fails would end the process in llama.cpp, or take memory without bound.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] with the key, its value and what it may be.
    pub fn check(&self) -> Result<(), ModelError> {
        let described = Described { path: self.path(), metadata: self.metadata() };
        described.shape()?;
        described.vocabulary()
    }
}

struct Described<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
}

impl Described<'_> {
    fn wrong(&self, key: &str, reason: String) -> ModelError {
        ModelError::Metadata { path: self.path.into(), key: key.into(), reason }
    }

    fn needed(&self, key: &str) -> ModelError {
        self.wrong(key, "it is missing".into())
    }

    fn shape(&self) -> Result<(), ModelError> {
        let key = "general.architecture";
        let architecture = self.metadata.text(self.path, key)?.ok_or_else(|| self.needed(key))?;
        let named = |name: &str| format!("{architecture}.{name}");
        for (name, least, most, presence) in COUNTS {
            let key = named(name);
            match self.metadata.get(&key) {
                None if presence == Presence::Needed => return Err(self.needed(&key)),
                None => {}
                // Some models have a number for each layer.
                Some(Value::Array(values)) if presence == Presence::Optional => {
                    for value in values {
                        self.in_range(&key, value.as_count(), value, 0, most)?;
                    }
                }
                Some(value) => self.in_range(&key, value.as_count(), value, least, most)?,
            }
        }
        for name in EPSILONS {
            let key = named(name);
            if let Some(epsilon) = self.metadata.float(self.path, &key)?
                && !(0.0..=1.0).contains(&epsilon)
            {
                return Err(
                    self.wrong(&key, format!("it is {epsilon}, where a number from 0 to 1 is possible"))
                );
            }
        }
        for name in FACTORS {
            let key = named(name);
            if let Some(factor) = self.metadata.float(self.path, &key)?
                && !(factor.is_finite() && factor > 0.0)
            {
                return Err(self.wrong(&key, format!("it is {factor}, where a number above 0 is possible")));
            }
        }
        let key = named("rope.scaling.type");
        if let Some(kind) = self.metadata.text(self.path, &key)?
            && !ROPE_SCALINGS.contains(&kind)
        {
            return Err(self.wrong(&key, format!("it is `{kind}`; known are {}", ROPE_SCALINGS.join(", "))));
        }
        self.heads(&named)?;
        self.experts(&named)
    }

    fn in_range(
        &self,
        key: &str,
        count: Option<u64>,
        value: &Value,
        least: u64,
        most: u64,
    ) -> Result<(), ModelError> {
        match count {
            Some(count) if (least..=most).contains(&count) => Ok(()),
            Some(count) => {
                Err(self.wrong(key, format!("it is {count}, where {least} to {most} is possible")))
            }
            None => Err(self.wrong(key, format!("it is no whole number but {}", shown(value)))),
        }
    }

    fn heads(&self, named: &impl Fn(&str) -> String) -> Result<(), ModelError> {
        let count = |name: &str| self.metadata.get(&named(name)).and_then(Value::as_count);
        let (heads, kv_heads) = (count("attention.head_count"), count("attention.head_count_kv"));
        if let (Some(heads), Some(kv_heads)) = (heads, kv_heads)
            && kv_heads > 0
            && (kv_heads > heads || !heads.is_multiple_of(kv_heads))
        {
            let reason = format!("{heads} heads are no multiple of {kv_heads} key and value heads");
            return Err(self.wrong(&named("attention.head_count_kv"), reason));
        }
        if let (Some(heads), Some(width)) = (heads, count("embedding_length"))
            && heads > width
        {
            let reason = format!("{heads} heads for a width of {width}");
            return Err(self.wrong(&named("attention.head_count"), reason));
        }
        if let Some(turned) = count("rope.dimension_count")
            && !turned.is_multiple_of(2)
        {
            let reason = format!("it is {turned}; the rotary embedding turns pairs");
            return Err(self.wrong(&named("rope.dimension_count"), reason));
        }
        Ok(())
    }

    fn experts(&self, named: &impl Fn(&str) -> String) -> Result<(), ModelError> {
        let count = |name: &str| self.metadata.get(&named(name)).and_then(Value::as_count).unwrap_or(0);
        let (experts, used) = (count("expert_count"), count("expert_used_count"));
        if used > experts || (experts > 0 && used == 0) {
            let reason = format!("{used} of {experts} experts are used");
            return Err(self.wrong(&named("expert_used_count"), reason));
        }
        let (groups, groups_used) = (count("expert_group_count"), count("expert_group_used_count"));
        let fits = groups == 0
            || (groups < experts
                && experts.is_multiple_of(groups)
                && (groups == 1 || (1..groups).contains(&groups_used)));
        if !fits {
            let reason = format!("{groups_used} of {groups} groups of {experts} experts are used");
            return Err(self.wrong(&named("expert_group_count"), reason));
        }
        let (later, layers) = (count("nextn_predict_layers"), count("block_count"));
        if later > layers {
            let reason = format!("it is {later}, of {layers} layers");
            return Err(self.wrong(&named("nextn_predict_layers"), reason));
        }
        Ok(())
    }

    fn vocabulary(&self) -> Result<(), ModelError> {
        let key = "tokenizer.ggml.tokens";
        let tokens = self.metadata.texts(self.path, key)?.ok_or_else(|| self.needed(key))?;
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            let reason = format!("it has {} tokens, where 1 to {MAX_TOKENS} are possible", tokens.len());
            return Err(self.wrong(key, reason));
        }
        let mut known = HashMap::with_capacity(tokens.len());
        for (id, &token) in tokens.iter().enumerate() {
            if token.len() > MAX_TOKEN_BYTES {
                let reason =
                    format!("token {id} has {} bytes; at most {MAX_TOKEN_BYTES} are read", token.len());
                return Err(self.wrong(key, reason));
            }
            if let Some(earlier) = known.insert(token, id).filter(|_| !token.is_empty()) {
                return Err(self.wrong(key, format!("tokens {earlier} and {id} are both `{token}`")));
            }
        }
        for key in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
            match self.metadata.get(key) {
                None => {}
                Some(Value::Array(values)) if values.len() == tokens.len() => {}
                Some(Value::Array(values)) => {
                    let reason = format!("it has {} entries for {} tokens", values.len(), tokens.len());
                    return Err(self.wrong(key, reason));
                }
                Some(other) => return Err(self.wrong(key, format!("it is no list but {}", shown(other)))),
            }
        }
        self.bytes(&tokens)?;
        let key = "tokenizer.ggml.model";
        let kind = self.metadata.text(self.path, key)?.ok_or_else(|| self.needed(key))?;
        if !TOKENIZERS.contains(&kind) {
            return Err(self.wrong(key, format!("it is `{kind}`; known are {}", TOKENIZERS.join(", "))));
        }
        if kind == SENTENCE_PIECE { self.pieces(&known) } else { Ok(()) }
    }

    /// Tokens that stand for a byte say which: `<0x0A>`.
    fn bytes(&self, tokens: &[&str]) -> Result<(), ModelError> {
        let key = "tokenizer.ggml.tokens";
        let types = self.metadata.counts(self.path, "tokenizer.ggml.token_type")?.unwrap_or_default();
        for (id, (token, kind)) in tokens.iter().zip(types).enumerate() {
            if kind == BYTE && crate::tokenizer::fallback_byte(token).is_none() {
                return Err(self.wrong(key, format!("token {id} is to be a byte and is `{token}`")));
            }
        }
        Ok(())
    }

    /// Pieces need scores, and every byte has one: a character that no piece has is read as its bytes.
    fn pieces(&self, known: &HashMap<&str, usize>) -> Result<(), ModelError> {
        let key = "tokenizer.ggml.scores";
        let scores = self.metadata.floats(self.path, key)?.ok_or_else(|| self.needed(key))?;
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(self.wrong(key, format!("the score of token {id} is no number")));
        }
        let key = "tokenizer.ggml.tokens";
        for byte in 0..=u8::MAX {
            let itself = [byte];
            let itself = str::from_utf8(&itself).ok();
            let is_known = known.contains_key(format!("<0x{byte:02X}>").as_str())
                || itself.is_some_and(|byte| known.contains_key(byte));
            if !is_known {
                return Err(self.wrong(key, format!("no token is the byte 0x{byte:02X}")));
            }
        }
        Ok(())
    }
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::String(text) => format!("the text `{}`", text.chars().take(40).collect::<String>()),
        other => format!("{other:?}"),
    }
}
