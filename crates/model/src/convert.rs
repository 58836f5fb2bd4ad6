//! Writing a model: as a GGUF file that llama.cpp loads, or as a folder that transformers loads.

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, path::Path};

use half::bf16;
use safetensors::{Dtype, View};

use crate::{
    FolderType, Model, ModelError, Tensor,
    config::ROPE_FREQS,
    gguf::{self, GgufFormat, GgufTensor, Value},
    gguf_weights, names, write_folder,
};

/// How weights are written. Norms and biases are always written as 32-bit floats in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConvertFormat {
    /// 32-bit floats.
    F32,
    /// 16 bits: floats in GGUF, brain floats in a folder.
    Half,
    /// Blocks of 32 8-bit integers with a common scale; GGUF only.
    Q8_0,
}

/// The weights of a model while it is written: those on disk, or others of the same shapes, such as trained ones.
pub trait TensorSource {
    /// The tensor of a Hugging Face name, in Hugging Face's layout.
    fn tensor(&self, name: &str) -> Result<Tensor, ModelError>;
}

impl ConvertFormat {
    /// Bytes of a model's weights in this format, about.
    pub fn bytes(self, model: &Model) -> u64 {
        let shapes = names::all(model.config()).filter_map(|(_, part)| model.config().tensor_shape(part));
        let weights: u64 =
            shapes.map(|shape| shape.iter().map(|&length| length as u64).product::<u64>()).sum();
        match self {
            Self::F32 => weights * 4,
            Self::Half => weights * 2,
            // 32 weights with a scale in 16 bits.
            Self::Q8_0 => weights / 32 * 34,
        }
    }
}

impl TensorSource for Model {
    fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        Self::tensor(self, name)
    }
}

/// Writes `model` to `to`: a GGUF file if its name ends in `.gguf`, else a Hugging Face folder. Nothing that exists is
/// replaced but an empty folder.
pub fn convert(model: &Model, to: &Path, format: ConvertFormat) -> Result<(), ModelError> {
    write_model(model, model, to, format)
}

/// Writes a model like `model` with the weights of `weights`. What is written has its name only when it is whole.
pub fn write_model(
    model: &Model,
    weights: &dyn TensorSource,
    to: &Path,
    format: ConvertFormat,
) -> Result<(), ModelError> {
    if to.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
        write_gguf(model, weights, to, format)
    } else {
        write_safetensors_folder(model, weights, to, format)
    }
}

fn write_gguf(
    model: &Model,
    weights: &dyn TensorSource,
    to: &Path,
    format: ConvertFormat,
) -> Result<(), ModelError> {
    let config = model.config();
    let mut described = Vec::new();
    let mut hugging_face = BTreeMap::new();
    for (name, part) in names::all(config) {
        if let (Some(shape), Some(gguf)) = (config.tensor_shape(part), names::to_gguf(&name, config)) {
            described.push(GgufTensor { name: gguf.clone(), shape });
            hugging_face.insert(gguf, name);
        }
    }
    let (mut metadata, rope_freqs) = config.to_gguf(to)?;
    if let Some(rope_freqs) = &rope_freqs {
        described.push(GgufTensor { name: ROPE_FREQS.into(), shape: vec![rope_freqs.len()] });
    }
    let name = to.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    metadata.0.insert("general.name".into(), Value::String(name));
    metadata.0.extend(model.tokenizer().to_gguf(to, config.vocab_size)?);
    if let Some(template) = model.chat_template() {
        metadata.0.insert("tokenizer.chat_template".into(), Value::String(template.source().into()));
        let additional: Vec<(&str, &str)> = template.additional().collect();
        if !additional.is_empty() {
            let names = additional.iter().map(|&(name, _)| Value::String(name.into())).collect();
            metadata.0.insert("tokenizer.chat_templates".into(), Value::Array(names));
        }
        metadata.0.extend(
            additional
                .into_iter()
                .map(|(name, text)| (format!("tokenizer.chat_template.{name}"), Value::String(text.into()))),
        );
    }
    let format = match format {
        ConvertFormat::F32 => GgufFormat::F32,
        ConvertFormat::Half => GgufFormat::F16,
        ConvertFormat::Q8_0 => GgufFormat::Q8_0,
    };
    gguf::write(to, &metadata, &described, format, |described| match hugging_face.get(&described.name) {
        Some(name) => Ok(gguf_weights::written(weights.tensor(name)?, name, config)),
        None => Ok(Tensor { shape: described.shape.clone(), data: rope_freqs.clone().unwrap_or_default() }),
    })
}

fn write_safetensors_folder(
    model: &Model,
    weights: &dyn TensorSource,
    to: &Path,
    format: ConvertFormat,
) -> Result<(), ModelError> {
    let (kind, described) = match format {
        ConvertFormat::F32 => (Dtype::F32, FolderType::F32),
        ConvertFormat::Half => (Dtype::BF16, FolderType::Bf16),
        ConvertFormat::Q8_0 => {
            let reason = "Q8_0 weights can be written only in a GGUF file; name one, or take 16 bits".into();
            return Err(ModelError::Config { path: to.into(), reason });
        }
    };
    write_folder(model, to, described, &mut |folder| {
        let failure = RefCell::new(None);
        let views = names::all(model.config()).filter_map(|(name, part)| {
            let shape = model.config().tensor_shape(part)?;
            Some((name.clone(), LazyTensor { name, shape, kind, weights, failure: &failure }))
        });
        let information = Some([("format".to_owned(), "pt".to_owned())].into());
        let path = folder.join("model.safetensors");
        let written = safetensors::serialize_to_file(views, information, &path);
        if let Some(error) = failure.take() {
            return Err(error);
        }
        written.map_err(|error| ModelError::Io {
            path,
            action: "write",
            source: std::io::Error::other(error),
        })
    })
}

/// A tensor that is read when the library asks for its bytes, so that one at a time is in memory.
struct LazyTensor<'a> {
    name: String,
    shape: Vec<usize>,
    kind: Dtype,
    weights: &'a dyn TensorSource,
    /// The first failure: the library's trait has no place for one. Zeros stand in for the weights, and the unfinished
    /// file is not kept.
    failure: &'a RefCell<Option<ModelError>>,
}

impl View for LazyTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.kind
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = match self.weights.tensor(&self.name) {
            Ok(tensor) if self.kind == Dtype::BF16 => {
                tensor.data.iter().flat_map(|&weight| bf16::from_f32(weight).to_le_bytes()).collect()
            }
            Ok(tensor) => tensor.data.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                vec![0; self.data_len()]
            }
        };
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.kind.bitsize() / 8
    }
}
