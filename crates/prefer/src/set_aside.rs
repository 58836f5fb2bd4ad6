//! Examples that a training sets aside: those with which a loss or a gradient is not finite.

use serde::{Deserialize, Serialize};

/// An example that is not trained on any more, or not evaluated any more where it is held out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAside {
    /// The example's key.
    pub key: String,
    /// The step that was to be made; for a held-out example, the steps made until then.
    pub step: u64,
    /// Why.
    pub reason: SetAsideReason,
}

/// Why an example is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SetAsideReason {
    /// A log-probability under the reference is infinite or no number.
    #[error("its log-probability under the reference model is not finite")]
    Reference,
    /// The loss is infinite or no number.
    #[error("its loss is not finite")]
    Loss,
    /// The gradient of this example alone is infinite or no number.
    #[error("its gradient is not finite")]
    Gradient,
    /// The gradient of the step is infinite or no number, though the gradient of each of its examples is finite.
    #[error("the gradient of its step is not finite, though no example alone has such a gradient")]
    SharedGradient,
}

impl SetAsideReason {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::SharedGradient => "shared_gradient",
        }
    }

    /// The reason of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Reference, Self::Loss, Self::Gradient, Self::SharedGradient]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}
