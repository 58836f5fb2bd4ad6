//! Adapters as PEFT's folders have them: `adapter_config.json` and `adapter_model.safetensors`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use safetensors::{Dtype, View};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adapter, AdapterBase, AdapterPair, AdapterScale, base::NOTE};
use crate::{Model, ModelError, Tensor, folder::write_text_files, safetensors_file::SafetensorsFiles};

pub(super) const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before a module's name.
const PREFIX: &str = "base_model.model.";
const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

/// What of `adapter_config.json` decides what the adapter computes. PEFT has more fields, and each version has some more.
#[derive(Deserialize)]
struct PeftConfig {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

pub(super) fn read(folder: &Path) -> Result<Adapter, ModelError> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|source| ModelError::Io {
        path: path.clone(),
        action: "read",
        source,
    })?;
    let config: PeftConfig = serde_json::from_str(&text)
        .map_err(|error| ModelError::Config { path: path.clone(), reason: error.to_string() })?;
    if let Some(reason) = config.refused() {
        return Err(ModelError::Config { path, reason });
    }
    let scale = AdapterScale { rank: config.r, alpha: config.lora_alpha, by_root: config.use_rslora };
    let files = SafetensorsFiles::of_file(&folder.join(WEIGHTS))?;
    let mut pairs = BTreeMap::new();
    let mut used = 0;
    for name in files.names().filter(|name| name.ends_with(A)) {
        let module = name.strip_suffix(A).unwrap_or(name);
        let pair = AdapterPair {
            down: files.tensor(folder, name)?,
            up: files.tensor(folder, &format!("{module}{B}"))?,
        };
        used += 2;
        pairs.insert(module.strip_prefix(PREFIX).unwrap_or(module).to_owned(), pair);
    }
    if used != files.names().count() || pairs.is_empty() {
        let reason =
            format!("{WEIGHTS} has {} tensors, {used} of them pairs of A and B", files.names().count());
        return Err(ModelError::Adapter { path: folder.into(), reason });
    }
    Ok(Adapter { scale, pairs, dropout: config.lora_dropout, base: AdapterBase::beside(folder)? })
}

impl PeftConfig {
    /// Why the adapter cannot be used, if it cannot.
    fn refused(&self) -> Option<String> {
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Object(entries) => !entries.is_empty(),
            Value::Array(entries) => !entries.is_empty(),
            _ => true,
        };
        if self.peft_type != "LORA" {
            return Some(format!("peft_type is {}; LORA alone is read", self.peft_type));
        }
        if self.r == 0 {
            return Some("r is 0; an adapter has a rank of at least 1".into());
        }
        if !(self.lora_alpha > 0.0 && self.lora_alpha.is_finite()) {
            return Some(format!("lora_alpha is {}; it must be above 0", self.lora_alpha));
        }
        let changing =
            ["use_dora", "fan_in_fan_out", "lora_bias", "rank_pattern", "alpha_pattern", "modules_to_save"];
        let name = changing.into_iter().find(|&name| self.others.get(name).is_some_and(is_set))?;
        Some(format!(
            "{name} is set, which is not supported; merge the adapter with PEFT and take the merged model"
        ))
    }
}

pub(super) fn write(adapter: &Adapter, model: &Model, to: &Path) -> Result<(), ModelError> {
    write_text_files(model, to, &mut |folder| {
        let failed = |file: &str, source| ModelError::Io { path: to.join(file), action: "write", source };
        let write = |file: &str, json: Value| {
            fs::write(folder.join(file), format!("{json:#}\n")).map_err(|source| failed(file, source))
        };
        write(CONFIG, config(adapter))?;
        if let Some(base) = &adapter.base {
            write(NOTE, json!(base))?;
        }
        let views = adapter.pairs.iter().flat_map(|(module, pair)| {
            [(A, &pair.down), (B, &pair.up)]
                .map(|(end, tensor)| (format!("{PREFIX}{module}{end}"), Floats(tensor)))
        });
        let information = Some(HashMap::from([("format".to_owned(), "pt".to_owned())]));
        safetensors::serialize_to_file(views, information, &folder.join(WEIGHTS))
            .map_err(|error| failed(WEIGHTS, std::io::Error::other(error)))
    })
}

fn config(adapter: &Adapter) -> Value {
    let names =
        adapter.pairs.keys().map(|module| module.rsplit_once('.').map_or(&**module, |(_, name)| name));
    let targets: BTreeSet<&str> = names.collect();
    let base = adapter.base.as_ref().map(|base| base.path.display().to_string());
    json!({
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": adapter.scale.alpha,
        "lora_dropout": adapter.dropout,
        "peft_type": "LORA",
        "r": adapter.scale.rank,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": adapter.scale.by_root,
    })
}

/// A tensor as 32-bit floats.
struct Floats<'a>(&'a Tensor);

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.data.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.0.data.len() * size_of::<f32>()
    }
}
