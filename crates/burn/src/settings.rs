//! What is trained, and how.

mod lora;

use std::fmt;

use lancer_backend::Seed;
use lancer_model::{Bias, Config};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};

pub use self::lora::{LoraSettings, Scaling, Targets};
use crate::BurnDevice;

/// The settings of a [`BurnLearner`](crate::BurnLearner).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Which weights are trained.
    pub method: Method,
    /// What of the forward pass is kept for the backward pass.
    pub activations: Activations,
    /// In which numbers matrix products are computed.
    pub products: Products,
    /// Decides the adapters' first weights and the dropout.
    pub seed: Seed,
    /// Where the model is computed.
    pub device: BurnDevice,
}

/// The JSON Schema of [`TrainSettings`].
pub fn settings_schema() -> serde_json::Value {
    schemars::schema_for!(TrainSettings).to_value()
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            method: Method::Full,
            activations: Activations::Auto,
            products: Products::F32,
            seed: Seed(0),
            device: BurnDevice::Cpu,
        }
    }
}

impl TrainSettings {
    /// Adapters of these settings, everything else by default.
    pub fn lora(settings: LoraSettings) -> Self {
        Self { method: Method::Lora(settings), ..Self::default() }
    }

    /// Checks that every number is in its range.
    pub fn validate(&self) -> Result<(), SettingError> {
        match &self.method {
            Method::Full => Ok(()),
            Method::Lora(lora) => lora.validate(),
        }
    }

    pub(crate) fn adapters(&self) -> Option<&LoraSettings> {
        match &self.method {
            Method::Full => None,
            Method::Lora(lora) => Some(lora),
        }
    }
}

/// Which weights are trained.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All of them.
    Full,
    /// Low-rank adapters beside frozen weights.
    Lora(LoraSettings),
}

/// A word, or a table with the method's settings: `"full"`, `"lora"` or `{ lora = { rank = 8 } }`.
impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Method;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`full`, `lora`, or a table `lora` with its settings")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Method, E> {
                match word {
                    "full" => Ok(Method::Full),
                    "lora" => Ok(Method::Lora(LoraSettings::default())),
                    other => Err(E::unknown_variant(other, &["full", "lora"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Method, A::Error> {
                let name: Option<String> = table.next_key()?;
                match name.as_deref() {
                    Some("lora") => Ok(Method::Lora(table.next_value()?)),
                    Some(other) => Err(de::Error::unknown_variant(other, &["full", "lora"])),
                    None => Err(de::Error::custom("an empty table, expected `full` or `lora`")),
                }
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// What of the forward pass is kept for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activations {
    /// Everything.
    Keep,
    /// The input of each layer; the rest is computed again, one layer at a time (gradient checkpointing, Chen et al.
    /// 2016, arXiv 1604.06174). A third more arithmetic for a fraction of the memory.
    Recompute,
    /// Everything where half of the memory that is available has room for it, else the input of each layer; chosen for each pass.
    /// Both give the same numbers. On GPUs everything.
    Auto,
}

/// In which numbers matrix products are computed. Weights, gradients, the optimizer's moments and all that is no matrix
/// product of a layer stay 32-bit floats, and so do the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// 32-bit floats.
    F32,
    /// Factors and what comes out are rounded to bf16 (8 bits of precision, the range of a 32-bit float), sums are 32-bit
    /// floats: mixed precision (Micikevicius et al. 2018, arXiv 1710.03740), as PyTorch's autocast has it. Faster
    /// on processors with AMX (Intel's from Sapphire Rapids on, under Linux; what comes out is not rounded there), and on AMD's
    /// with AVX-512 BF16 (from Zen 4 on); slower on others.
    Bf16,
}

/// A matrix of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// The attention's output.
    OProj,
    /// The MLP's gate.
    GateProj,
    /// The MLP's way up.
    UpProj,
    /// The MLP's way down.
    DownProj,
}

impl Projection {
    /// All of them, the usual choice.
    pub const ALL: [Self; 7] =
        [Self::QProj, Self::KProj, Self::VProj, Self::OProj, Self::GateProj, Self::UpProj, Self::DownProj];

    /// Its name in settings and in PEFT's.
    pub fn name(self) -> &'static str {
        let module = self.module();
        module.rsplit_once('.').map_or(module, |(_, name)| name)
    }

    /// Its name after `model.layers.N.`.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::QProj => "self_attn.q_proj",
            Self::KProj => "self_attn.k_proj",
            Self::VProj => "self_attn.v_proj",
            Self::OProj => "self_attn.o_proj",
            Self::GateProj => "mlp.gate_proj",
            Self::UpProj => "mlp.up_proj",
            Self::DownProj => "mlp.down_proj",
        }
    }

    pub(crate) fn has_bias(self, config: &Config) -> bool {
        match config.family.design().bias {
            Bias::None => false,
            Bias::QueryKeyValue => matches!(self, Self::QProj | Self::KProj | Self::VProj),
        }
    }
}

/// A setting that is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// Adapters of rank 0.
    #[error("lora.rank is 0; take at least 1")]
    Rank,
    /// A scale that is not above 0.
    #[error("lora.alpha is {0}; it must be above 0, often twice the rank")]
    Alpha(f64),
    /// A probability that is none, or 1.
    #[error("lora.dropout is {0}; it must be at least 0 and below 1")]
    Dropout(f64),
    /// No linear layer has the name.
    #[error(
        "lora.targets names {0:?}; there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj, or \"all-linear\" for all"
    )]
    UnknownTarget(String),
    /// A factor that is not above 0.
    #[error(
        "lora.rate_of_b is {0}; it must be above 0: 1 where A and B have one learning rate, 16 is usual where not"
    )]
    RateOfB(f64),
    /// The model's own adapter is not one of these settings.
    #[error(
        "the adapter to go on from has the {what} {known}, and lora asks for {asked}; give the same, or merge the adapter first \
         (`lancer convert`)"
    )]
    OtherAdapter {
        /// In what they differ.
        what: &'static str,
        /// The adapter's.
        known: String,
        /// The settings'.
        asked: String,
    },
    /// No matrix has adapters.
    #[error("lora.targets is empty; name at least one, such as `q_proj`")]
    NoTargets,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let text = r#"{"method": {"lora": {"rank": 4, "targets": ["q_proj", "down_proj"]}}, "seed": 3}"#;
        let settings: TrainSettings = serde_json::from_str(text).unwrap();
        let lora = settings.adapters().unwrap();
        assert_eq!((lora.rank, lora.targets.projections().count(), settings.seed), (4, 2, Seed(3)));
        let text = r#"{"method": {"lora": {"targets": "all-linear", "scaling": "root_of_rank", "rank": 4, "alpha": 8}}}"#;
        let settings: TrainSettings = serde_json::from_str(text).unwrap();
        let lora = settings.adapters().unwrap();
        assert_eq!((&lora.targets, lora.scale()), (&Targets::AllLinear, 4.0));
        assert_eq!(
            serde_json::from_str::<TrainSettings>(&serde_json::to_string(&settings).unwrap()).unwrap(),
            settings
        );
        let word: TrainSettings = serde_json::from_str(r#"{"method": "lora"}"#).unwrap();
        assert_eq!(word.adapters(), Some(&LoraSettings::default()));
        let full: TrainSettings = serde_json::from_str(r#"{"method": "full"}"#).unwrap();
        assert_eq!(full, TrainSettings::default());
        let wrong = serde_json::from_str::<TrainSettings>(r#"{"method": "lroa"}"#).unwrap_err().to_string();
        assert!(wrong.contains("`full` or `lora`"), "{wrong}");
        assert!(serde_json::from_str::<TrainSettings>(r#"{"rnak": 4}"#).is_err());
        assert!(serde_json::from_str::<TrainSettings>(r#"{"method": {"lora": {"rnak": 4}}}"#).is_err());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let of = |change: fn(&mut LoraSettings)| {
            let mut settings = LoraSettings::default();
            change(&mut settings);
            TrainSettings::lora(settings).validate()
        };
        assert_eq!(of(|_| ()), Ok(()));
        assert_eq!(of(|lora| lora.rank = 0), Err(SettingError::Rank));
        assert_eq!(of(|lora| lora.alpha = 0.0), Err(SettingError::Alpha(0.0)));
        assert_eq!(of(|lora| lora.dropout = 1.0), Err(SettingError::Dropout(1.0)));
        assert_eq!(of(|lora| lora.targets = [].into()), Err(SettingError::NoTargets));
        assert_eq!(of(|lora| lora.rate_of_b = 0.0), Err(SettingError::RateOfB(0.0)));
        let text = r#"{"method": {"lora": {"targets": ["q_proj", "qkv"]}}}"#;
        let error = serde_json::from_str::<TrainSettings>(text).unwrap_err().to_string();
        assert!(error.contains("\"qkv\"; there are q_proj, k_proj"), "{error}");
    }
}
