//! Writing a model as ONNX, with the inputs and outputs that Hugging Face Optimum and onnx-community give to decoders.

mod attention;
mod decoder;
mod mlp;
mod settings;
mod shared_inputs;
mod weights;

use std::{fs, io, path::Path};

use lancer_model::{Config, FolderType, Model, ModelError, TensorSource, write_folder};
use prost::Message;

#[cfg(feature = "engine")]
pub(crate) use self::decoder::KEEP;
pub use self::settings::{ExportSettings, Operators, WeightType};
use self::weights::{BLOCK, Weights};

/// The most numbers of a table of the rotary embedding: 1 GiB of 32-bit floats.
const MAX_TABLE_NUMBERS: usize = 1 << 28;

/// The folder within a model's that onnx-community keeps models in.
pub(crate) const SUBFOLDER: &str = "onnx";

/// Writes `model` to the folder `to`: `config.json`, the tokenizer, the chat template, and `onnx/model.onnx` or, by the
/// weights' type, `onnx/model_fp16.onnx` or `onnx/model_int8.onnx`. Replaced if it is there; it stands under its name only
/// when it is whole.
///
/// The model's file takes `input_ids`, `attention_mask` and `position_ids` (64-bit integers, `[batch, sequence]`, the mask
/// over the past too) and `past_key_values.N.key` and `.value` (`[batch, key-value heads, past, head size]`); it gives
/// `logits` (`[batch, sequence, vocabulary]`) and `present.N.key` and `.value`. `num_logits_to_keep`, a 64-bit integer that
/// need not be given, asks for the logits of so many last tokens only; 0, the default, for all.
///
/// ```no_run
/// use lancer_model::Model;
/// use lancer_onnx::{ExportSettings, export};
///
/// let model = Model::open("model.gguf".as_ref())?;
/// export(&model, &model, "model-onnx".as_ref(), &ExportSettings::default())?;
/// # Ok::<(), lancer_model::ModelError>(())
/// ```
///
/// # Errors
/// Where a weight cannot be read or the folder cannot be written.
pub fn export(
    model: &Model,
    weights: &dyn TensorSource,
    to: &Path,
    settings: &ExportSettings,
) -> Result<(), ModelError> {
    let kind = match settings.weights {
        WeightType::F32 | WeightType::Int8 => FolderType::F32,
        WeightType::F16 => FolderType::F16,
    };
    check_tables(model)?;
    write_folder(model, to, kind, &mut |folder| {
        let failed =
            |path: &Path, source: io::Error| ModelError::Io { path: path.into(), action: "write", source };
        let folder = folder.join(SUBFOLDER);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let path = folder.join(settings.weights.file_name());
        let beside = (size(model.config(), settings.weights) > settings.external_above)
            .then(|| folder.join(format!("{}_data", settings.weights.file_name())));
        let weights = Weights::new(weights, settings.weights, beside.as_deref())?;
        let file = decoder::build(model.config(), settings.operators, weights)?;
        fs::write(&path, file.encode_to_vec()).map_err(|source| failed(&path, source))
    })
}

/// Refuses a context whose tables of the rotary embedding, one row a position, would be longer than any model's.
fn check_tables(model: &Model) -> Result<(), ModelError> {
    let config = model.config();
    let numbers = config.context_length.saturating_mul(config.head_dim);
    if numbers <= MAX_TABLE_NUMBERS {
        return Ok(());
    }
    let reason = format!(
        "a context of {} tokens needs tables of {numbers} numbers in an ONNX file; at most {MAX_TABLE_NUMBERS} are written",
        config.context_length
    );
    Err(ModelError::Config { path: model.path().into(), reason })
}

/// Bytes of all weights, about.
fn size(config: &Config, kind: WeightType) -> u64 {
    let (query, key_value) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let attention = config.hidden_size * (2 * query + 2 * key_value);
    let layer = attention + 3 * config.hidden_size * config.intermediate_size;
    let embedding = (config.vocab_size * config.hidden_size) as u64;
    let tables = if config.sliding_window.is_some() { 2 } else { 1 };
    let rotary = tables * (config.context_length * config.head_dim) as u64;
    let layers = (config.layers * layer) as u64;
    match kind {
        // A tied head is the embedding itself.
        WeightType::F32 | WeightType::F16 => {
            let heads = if config.head == lancer_model::Head::Tied { 1 } else { 2 };
            let width = if kind == WeightType::F32 { 4 } else { 2 };
            width * (layers + heads * embedding + rotary)
        }
        WeightType::Int8 => {
            let blocks = layers + embedding;
            blocks + blocks / BLOCK as u64 * 4 + 2 * embedding + 4 * rotary
        }
    }
}
