//! The part of GGUF metadata that describes a model's shape, read and written.

use std::{collections::BTreeMap, path::Path};

use super::{Config, Head};
use crate::{
    Family, Llama3Scaling, ModelError, Rotary, RotaryScaling, SlidingWindow, WindowedLayers,
    family::GgufWindow,
    gguf::{Metadata, Value},
};

/// What a GGUF file says of a model's shape outside of its metadata.
pub(crate) struct GgufDescription {
    /// Rows of the embedding.
    pub(crate) vocab_size: usize,
    pub(crate) head: Head,
    /// The tensor [`ROPE_FREQS`], where there is one.
    pub(crate) rope_freqs: Option<Vec<f32>>,
}

/// The tensor by which llama.cpp divides the rotary embedding's frequencies.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";

/// llama.cpp's pattern of Gemma's layers: every so-many-th has no sliding window.
const GEMMA_PATTERN: usize = 6;
/// Layers of Gemma 3 27B.
const GEMMA_27B_LAYERS: usize = 62;

/// The metadata of one model, its keys without the architecture before them.
struct Reader<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl Reader<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.metadata.count(self.path, &self.key(key))?.map(|count| count as usize))
    }

    fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.metadata.float(self.path, &self.key(key))
    }

    fn needed<T>(&self, key: &str, found: Option<T>) -> Result<T, ModelError> {
        found.ok_or_else(|| missing(self.path, self.key(key)))
    }

    fn needed_count(&self, key: &str) -> Result<usize, ModelError> {
        self.needed(key, self.count(key)?)
    }

    fn rotary(&self, rope_freqs: Option<&[f32]>) -> Result<Rotary, ModelError> {
        let theta = self.float("rope.freq_base")?.unwrap_or(Rotary::DEFAULT_THETA);
        let kind = self.metadata.text(self.path, &self.key("rope.scaling.type"))?.unwrap_or("none");
        let scaling = match (kind, rope_freqs) {
            ("none", None) => RotaryScaling::None,
            ("none", Some(divisors)) => {
                let scaling = Llama3Scaling::from_divisors(divisors, theta).ok_or_else(|| {
                    self.wrong(format!(
                        "its `{ROPE_FREQS}` is not that of Llama 3.x, and cannot be computed yet"
                    ))
                })?;
                RotaryScaling::Llama3(scaling)
            }
            ("linear", None) => {
                let key = "rope.scaling.factor";
                RotaryScaling::Linear { factor: self.needed(key, self.float(key)?)? }
            }
            (other, _) => return Err(self.wrong(format!("rope scaling `{other}` cannot be computed yet"))),
        };
        Ok(Rotary { theta, scaling })
    }
}

impl Reader<'_> {
    fn sliding_window(&self, family: Family, rotary: Rotary) -> Result<Option<SlidingWindow>, ModelError> {
        let Some(tokens) = self.count("attention.sliding_window")?.filter(|&tokens| tokens > 0) else {
            return Ok(None);
        };
        match family {
            Family::Llama | Family::Mistral => {
                Ok(Some(SlidingWindow { tokens, layers: WindowedLayers::All, rotary }))
            }
            Family::Qwen2 | Family::Qwen3 => {
                Err(self
                    .wrong(format!("a sliding window in a `{}` cannot be computed yet", self.architecture)))
            }
            Family::Gemma3 => {
                let theta = self.float("rope.freq_base_swa")?.unwrap_or(Rotary::DEFAULT_THETA);
                let rotary = Rotary { theta, scaling: RotaryScaling::None };
                Ok(self.windowed_layers()?.map(|layers| SlidingWindow { tokens, layers, rotary }))
            }
        }
    }

    /// A number or a list; what llama.cpp takes without either.
    fn windowed_layers(&self) -> Result<Option<WindowedLayers>, ModelError> {
        let key = "attention.sliding_window_pattern";
        if let Some(Value::Array(list)) = self.metadata.get(&self.key(key)) {
            let list: Vec<bool> = list
                .iter()
                .map(|value| matches!(value, Value::Bool(true) | Value::U32(1) | Value::I32(1)))
                .collect();
            return WindowedLayers::from_list(&list).map_err(|reason| self.wrong(reason));
        }
        Ok(WindowedLayers::from_pattern(self.count(key)?.unwrap_or(GEMMA_PATTERN)))
    }

    fn refuse_capped_logits(&self) -> Result<(), ModelError> {
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if self.float(key)?.is_some_and(|cap| cap != 0.0) {
                return Err(self.wrong(format!("capped logits (Gemma 2's `{key}`) cannot be computed yet")));
            }
        }
        Ok(())
    }

    fn wrong(&self, reason: String) -> ModelError {
        ModelError::Config { path: self.path.into(), reason }
    }
}

/// By what llama.cpp divides attention scores before it takes the root; GGUF does not say it. Of Gemma it knows the largest
/// by its number of layers.
fn query_pre_attn_scalar(
    family: Family,
    layers: usize,
    heads: usize,
    hidden_size: usize,
    head_dim: usize,
) -> f64 {
    match (family, layers) {
        (Family::Gemma3, GEMMA_27B_LAYERS) => (hidden_size / heads.max(1)) as f64,
        _ => head_dim as f64,
    }
}

impl Config {
    /// Reads GGUF metadata.
    pub(crate) fn from_gguf(
        path: &Path,
        metadata: &Metadata,
        description: &GgufDescription,
    ) -> Result<Self, ModelError> {
        let key = "general.architecture";
        let architecture = metadata.text(path, key)?.ok_or_else(|| missing(path, key.into()))?;
        let reader = Reader { path, metadata, architecture };
        let named = Family::from_gguf(architecture).map_err(|reason| reader.wrong(reason))?;
        reader.refuse_capped_logits()?;
        let layers = reader.needed_count("block_count")?;
        let hidden_size = reader.needed_count("embedding_length")?;
        let heads = reader.needed_count("attention.head_count")?;
        let head_dim = reader.count("attention.key_length")?;
        let head_dim = head_dim.unwrap_or_else(|| hidden_size / heads.max(1));
        let epsilon = "attention.layer_norm_rms_epsilon";
        let rotary = reader.rotary(description.rope_freqs.as_deref())?;
        let sliding_window = reader.sliding_window(named, rotary)?;
        let family = match (named, sliding_window) {
            // llama.cpp does not look at the window of a Llama; a file that has one is a Mistral's.
            (Family::Llama, Some(_)) => Family::Mistral,
            _ => named,
        };
        Self {
            family,
            vocab_size: description.vocab_size,
            hidden_size,
            intermediate_size: reader.needed_count("feed_forward_length")?,
            layers,
            heads,
            kv_heads: reader.count("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            query_pre_attn_scalar: query_pre_attn_scalar(family, layers, heads, hidden_size, head_dim),
            rotary,
            sliding_window,
            rms_norm_eps: reader.needed(epsilon, reader.float(epsilon)?)?,
            context_length: reader.needed_count("context_length")?,
            head: description.head,
        }
        .checked(path)
    }

    /// The metadata that describes the shape, and the tensor [`ROPE_FREQS`] where the rotary embedding needs it. `path` is
    /// named in errors.
    pub(crate) fn to_gguf(&self, path: &Path) -> Result<(Metadata, Option<Vec<f32>>), ModelError> {
        let architecture = self.family.design().gguf;
        let count = |n: usize| Value::U32(n as u32);
        // llama.cpp would compute without the window: the context ends where it would begin to matter.
        let context_length = match (self.sliding_window, self.family.design().gguf_window) {
            (Some(window), GgufWindow::Unknown) => self.context_length.min(window.tokens),
            (Some(_), GgufWindow::Known) | (None, _) => self.context_length,
        };
        let mut of_family = vec![
            ("context_length", count(context_length)),
            ("embedding_length", count(self.hidden_size)),
            ("block_count", count(self.layers)),
            ("feed_forward_length", count(self.intermediate_size)),
            ("attention.head_count", count(self.heads)),
            ("attention.head_count_kv", count(self.kv_heads)),
            ("attention.key_length", count(self.head_dim)),
            ("attention.value_length", count(self.head_dim)),
            ("attention.layer_norm_rms_epsilon", Value::F32(self.rms_norm_eps as f32)),
            ("rope.dimension_count", count(self.head_dim)),
            ("rope.freq_base", Value::F32(self.rotary.theta as f32)),
            ("vocab_size", count(self.vocab_size)),
        ];
        if let (Some(window), GgufWindow::Known) = (self.sliding_window, self.family.design().gguf_window) {
            let pattern = match window.layers {
                WindowedLayers::All => 0,
                WindowedLayers::AllButEvery(period) => period,
            };
            of_family.extend([
                ("attention.sliding_window", count(window.tokens)),
                ("attention.sliding_window_pattern", count(pattern)),
                ("rope.freq_base_swa", Value::F32(window.rotary.theta as f32)),
            ]);
        }
        self.refuse_other_scale(path)?;
        let rope_freqs = match self.rotary.scaling {
            RotaryScaling::None => None,
            RotaryScaling::Linear { factor } => {
                of_family.push(("rope.scaling.type", Value::String("linear".into())));
                of_family.push(("rope.scaling.factor", Value::F32(factor as f32)));
                None
            }
            RotaryScaling::Llama3(scaling) if architecture == Family::Llama.design().gguf => {
                Some(scaling.divisors(self.rotary.theta, self.head_dim))
            }
            RotaryScaling::Llama3(_) => {
                let reason = format!("GGUF has no place for rope scaling `llama3` in a `{architecture}`");
                return Err(ModelError::Config { path: path.into(), reason });
            }
        };
        let mut entries: BTreeMap<String, Value> =
            of_family.into_iter().map(|(key, value)| (format!("{architecture}.{key}"), value)).collect();
        entries.insert("general.architecture".into(), Value::String(architecture.into()));
        Ok((Metadata(entries), rope_freqs))
    }

    /// GGUF has no place for the scale of the attention's scores.
    fn refuse_other_scale(&self, path: &Path) -> Result<(), ModelError> {
        let &Self { family, layers, heads, hidden_size, head_dim, query_pre_attn_scalar: own, .. } = self;
        let known = query_pre_attn_scalar(family, layers, heads, hidden_size, head_dim);
        if (own - known).abs() > f64::EPSILON {
            let reason =
                format!("query_pre_attn_scalar is {own}, where llama.cpp would compute with {known}");
            return Err(ModelError::Config { path: path.into(), reason });
        }
        Ok(())
    }
}

fn missing(path: &Path, key: String) -> ModelError {
    ModelError::Metadata { path: path.into(), key, reason: "it is missing".into() }
}
