//! A PEFT adapter that a trainer wrote, merged into the model that it belongs to.

use std::{collections::BTreeMap, fs, path::Path};

use lancer_model::{AdapterPair, AdapterScale, Model, ModelError, Tensor, TensorSource};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;

/// What `adapter_config.json` says, as far as it changes the merged weights.
#[derive(Debug, Deserialize)]
struct Described {
    peft_type: String,
    lora_alpha: f64,
    r: usize,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    rank_pattern: BTreeMap<String, Value>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, Value>,
}

/// The factors of one matrix, as far as they have been read.
#[derive(Debug, Default)]
struct Factors {
    a: Option<Tensor>,
    b: Option<Tensor>,
}

/// A model with an adapter's matrices added to its own.
pub(crate) struct Merged {
    base: Model,
    scale: AdapterScale,
    pairs: BTreeMap<String, AdapterPair>,
}

impl Merged {
    /// Reads the adapter in a folder.
    ///
    /// # Errors
    /// What is wrong with it or not supported, as a sentence.
    pub(crate) fn open(base: Model, folder: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            fs::read(folder.join(name)).map_err(|error| format!("{name} cannot be read: {error}"))
        };
        let described: Described = serde_json::from_slice(&read("adapter_config.json")?)
            .map_err(|error| format!("adapter_config.json: {error}"))?;
        described.check()?;
        let bytes = read("adapter_model.safetensors")?;
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|error| format!("adapter_model.safetensors: {error}"))?;
        let mut factors = BTreeMap::<String, Factors>::new();
        for (name, view) in tensors.iter() {
            let short = name.strip_prefix("base_model.model.").unwrap_or(name);
            let tensor =
                floats(&view).ok_or_else(|| format!("the tensor {name} is not of 16- or 32-bit floats"))?;
            if let Some(matrix) = short.strip_suffix(".lora_A.weight") {
                factors.entry(format!("{matrix}.weight")).or_default().a = Some(tensor);
            } else if let Some(matrix) = short.strip_suffix(".lora_B.weight") {
                factors.entry(format!("{matrix}.weight")).or_default().b = Some(tensor);
            } else {
                return Err(format!("the tensor {name} is no factor of LoRA, which alone is taken over"));
            }
        }
        let mut pairs = BTreeMap::new();
        for (name, pair) in factors {
            let (Some(down), Some(up)) = (pair.a, pair.b) else {
                return Err(format!("{name} has one of its two factors only"));
            };
            let shape = base.tensor(&name).map_err(|_| format!("the model has no {name}"))?.shape;
            let fits = shape.len() == 2
                && down.shape == [described.r, shape[1]]
                && up.shape == [shape[0], described.r];
            if !fits {
                return Err(format!(
                    "the factors of {name} have the shapes {:?} and {:?}, which do not fit {shape:?} with rank {}",
                    down.shape, up.shape, described.r
                ));
            }
            pairs.insert(name, AdapterPair { down, up });
        }
        if pairs.is_empty() {
            return Err("the adapter is empty".into());
        }
        let scale =
            AdapterScale { rank: described.r, alpha: described.lora_alpha, by_root: described.use_rslora };
        Ok(Self { base, scale, pairs })
    }
}

impl Described {
    fn check(&self) -> Result<(), String> {
        let refused = [
            (self.peft_type != "LORA", "an adapter other than LoRA"),
            (self.use_dora, "DoRA (use_dora)"),
            (self.fan_in_fan_out, "transposed matrices (fan_in_fan_out)"),
            (self.bias.as_deref().is_some_and(|bias| bias != "none"), "trained biases (bias)"),
            (self.modules_to_save.as_ref().is_some_and(|saved| !saved.is_empty()), "modules_to_save"),
            (!self.rank_pattern.is_empty(), "rank_pattern"),
            (!self.alpha_pattern.is_empty(), "alpha_pattern"),
            (self.r == 0, "rank 0"),
        ];
        match refused.into_iter().find(|(is_there, _)| *is_there) {
            Some((_, what)) => Err(format!("the adapter has {what}, which is not taken over")),
            None => Ok(()),
        }
    }
}

impl TensorSource for Merged {
    fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let mut tensor = self.base.tensor(name)?;
        if let Some(pair) = self.pairs.get(name) {
            pair.merge_into(self.scale.factor(), &mut tensor);
        }
        Ok(tensor)
    }
}

fn floats(view: &safetensors::tensor::TensorView<'_>) -> Option<Tensor> {
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        // A bf16 is the upper half of a 32-bit float.
        Dtype::BF16 => bytes
            .chunks_exact(2)
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
            .collect(),
        _ => return None,
    };
    Some(Tensor { shape: view.shape().to_vec(), data })
}
