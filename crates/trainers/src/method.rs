//! What is trained: the `learner` table of a recipe, as far as programs other than lancer know it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::TrainerError;

/// What of a recipe's `learner` table reaches a trainer. It has the names that lancer's own trainer has for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Method {
    /// Which weights are trained.
    pub method: Weights,
    /// What of the forward pass is kept for the backward pass.
    pub activations: Activations,
    /// In which numbers matrix products are computed.
    pub products: Products,
    /// Where the model is computed; where it is absent the trainer chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

impl Default for Method {
    fn default() -> Self {
        Self { method: Weights::Full, activations: Activations::Keep, products: Products::F32, device: None }
    }
}

/// Which weights are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// All of them.
    Full,
    /// Low-rank adapters beside frozen weights.
    Lora(Lora),
}

/// What of the forward pass is kept for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activations {
    /// Everything.
    Keep,
    /// The input of each layer (gradient checkpointing).
    Recompute,
}

/// In which numbers matrix products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// 32-bit floats.
    F32,
    /// bf16, over weights in 32-bit floats.
    Bf16,
}

/// Where a model is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    Cpu,
    /// NVIDIA's cards.
    Cuda,
}

/// Low-rank adapters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lora {
    /// Rank of the adapters, at least 1.
    pub rank: usize,
    /// They are multiplied by `alpha / rank`; above 0.
    pub alpha: f64,
    /// The probability with which an adapter's input is set to zero in training, from 0 to below 1.
    pub dropout: f64,
    /// The matrices that get adapters, at least one.
    pub targets: BTreeSet<String>,
}

/// The matrices of a layer, by the names that models on the Hugging Face hub have for them.
const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

impl Default for Lora {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, dropout: 0.0, targets: PROJECTIONS.map(str::to_owned).into() }
    }
}

impl Method {
    /// Reads a recipe's table.
    ///
    /// # Errors
    /// [`TrainerError::Setting`], naming the setting and what it takes.
    pub fn from_table(table: &toml::Table) -> Result<Self, TrainerError> {
        let mut table = table.clone();
        if table.get("method").and_then(toml::Value::as_str) == Some("lora") {
            // The word is the method with its own settings.
            let lora = toml::Table::from_iter([("lora".to_owned(), toml::Table::new().into())]);
            table.insert("method".into(), lora.into());
        }
        let method: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| TrainerError::setting("learner", error.message()))?;
        let wrong = |name: &str, reason: &str| {
            Err(TrainerError::setting(format!("learner.method.lora.{name}"), reason))
        };
        if let Weights::Lora(Lora { rank, alpha, dropout, targets }) = &method.method {
            if *rank == 0 {
                return wrong("rank", "it is 0; take at least 1");
            }
            if !(*alpha > 0.0 && alpha.is_finite()) {
                return wrong("alpha", &format!("it is {alpha}; it must be above 0, often twice the rank"));
            }
            if !(0.0..1.0).contains(dropout) {
                return wrong("dropout", &format!("it is {dropout}; it must be at least 0 and below 1"));
            }
            if targets.is_empty() {
                return wrong("targets", "it is empty; name at least one, such as `q_proj`");
            }
            if let Some(unknown) = targets.iter().find(|target| !PROJECTIONS.contains(&target.as_str())) {
                return wrong(
                    "targets",
                    &format!("there is no `{unknown}`; there are {}", PROJECTIONS.join(", ")),
                );
            }
        }
        Ok(method)
    }

    pub(crate) fn lora(&self) -> Option<&Lora> {
        match &self.method {
            Weights::Full => None,
            Weights::Lora(lora) => Some(lora),
        }
    }
}
