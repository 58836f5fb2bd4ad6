//! Which adapters are trained.

use std::collections::BTreeSet;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{Projection, SettingError};

/// Low-rank adapters (LoRA; Hu et al. 2021, arXiv 2106.09685): a frozen matrix `W` becomes `W + alpha / rank · B A`, with
/// `A: [rank, input]` and `B: [output, rank]`. `B` begins as zero, so training begins at the model itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank of the adapters, at least 1.
    pub rank: usize,
    /// Scale of the adapters, above 0; they are multiplied by `alpha / rank`.
    pub alpha: f64,
    /// The probability with which an adapter's input is set to zero in training, from 0 to below 1.
    pub dropout: f64,
    /// The matrices that get adapters: `"all-linear"`, or a list of at least one, such as `["q_proj", "v_proj"]`.
    pub targets: Targets,
    /// What `B A` is multiplied by.
    pub scaling: Scaling,
    /// By what the learning rate is multiplied for `B`, above 0; 16 is usual with LoRA+ (Hayou et al. 2024, arXiv 2402.12354).
    pub rate_of_b: f64,
}

/// What the product of an adapter's matrices is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// `alpha / rank`.
    Rank,
    /// `alpha / √rank`, with which adapters of high rank learn too (`rsLoRA`; Kalajdzievski 2023, arXiv 2312.03732).
    RootOfRank,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: Targets::AllLinear,
            scaling: Scaling::Rank,
            rate_of_b: 1.0,
        }
    }
}

impl LoraSettings {
    pub(super) fn validate(&self) -> Result<(), SettingError> {
        if self.rank == 0 {
            return Err(SettingError::Rank);
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return Err(SettingError::Alpha(self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(SettingError::Dropout(self.dropout));
        }
        if self.targets == Targets::Some(BTreeSet::new()) {
            return Err(SettingError::NoTargets);
        }
        if !(self.rate_of_b > 0.0 && self.rate_of_b.is_finite()) {
            return Err(SettingError::RateOfB(self.rate_of_b));
        }
        Ok(())
    }

    /// Checks that training with these settings can go on from an adapter that was made with others: rank, scale and targets are the
    /// same.
    ///
    /// # Errors
    /// [`SettingError::OtherAdapter`], which names what differs.
    pub fn check_goes_on_from(&self, other: &Self) -> Result<(), SettingError> {
        self.check_shape(other.rank, other.scale(), other.targets.projections().collect())
    }

    /// As [`check_goes_on_from`](Self::check_goes_on_from), for an adapter of this rank, scale and targets.
    pub(crate) fn check_shape(
        &self,
        rank: usize,
        scale: f64,
        targets: Vec<Projection>,
    ) -> Result<(), SettingError> {
        let differs =
            |what, known: String, asked: String| Err(SettingError::OtherAdapter { what, known, asked });
        if rank != self.rank {
            return differs("rank", rank.to_string(), self.rank.to_string());
        }
        if (scale / self.scale() - 1.0).abs() > 1e-6 {
            return differs("scale", scale.to_string(), self.scale().to_string());
        }
        let names = |projections: Vec<Projection>| {
            projections.into_iter().map(Projection::name).collect::<Vec<_>>().join(", ")
        };
        let (known, asked) = (names(targets), names(self.targets.projections().collect()));
        if known == asked { Ok(()) } else { differs("target modules", known, asked) }
    }

    /// What `B A` is multiplied by.
    pub(crate) fn scale(&self) -> f64 {
        match self.scaling {
            Scaling::Rank => self.alpha / self.rank as f64,
            Scaling::RootOfRank => self.alpha / (self.rank as f64).sqrt(),
        }
    }
}

/// Which matrices get adapters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "TargetsInFile", into = "TargetsInFile")]
pub enum Targets {
    /// The matrices of all linear layers except the head.
    AllLinear,
    /// These of each layer.
    Some(BTreeSet<Projection>),
}

/// How settings have [`Targets`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TargetsInFile {
    Word(String),
    Names(Vec<String>),
}

/// How settings name all linear layers; PEFT's word.
const ALL_LINEAR: &str = "all-linear";

impl TryFrom<TargetsInFile> for Targets {
    type Error = SettingError;

    fn try_from(targets: TargetsInFile) -> Result<Self, SettingError> {
        let of_name = |name: String| {
            let known = Projection::ALL.into_iter().find(|projection| projection.name() == name);
            known.ok_or(SettingError::UnknownTarget(name))
        };
        match targets {
            TargetsInFile::Word(word) if word == ALL_LINEAR => Ok(Self::AllLinear),
            TargetsInFile::Word(word) => Err(SettingError::UnknownTarget(word)),
            TargetsInFile::Names(names) => {
                names.into_iter().map(of_name).collect::<Result<_, _>>().map(Self::Some)
            }
        }
    }
}

impl From<Targets> for TargetsInFile {
    fn from(targets: Targets) -> Self {
        match targets {
            Targets::AllLinear => Self::Word(ALL_LINEAR.into()),
            Targets::Some(names) => {
                Self::Names(names.into_iter().map(|projection| projection.name().to_owned()).collect())
            }
        }
    }
}

impl<const N: usize> From<[Projection; N]> for Targets {
    fn from(projections: [Projection; N]) -> Self {
        Self::Some(projections.into())
    }
}

impl Targets {
    /// Whether this matrix of each layer gets an adapter.
    pub fn contains(&self, projection: Projection) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Some(projections) => projections.contains(&projection),
        }
    }

    /// The matrices, in the order of a layer.
    pub fn projections(&self) -> impl Iterator<Item = Projection> {
        Projection::ALL.into_iter().filter(|&projection| self.contains(projection))
    }
}
