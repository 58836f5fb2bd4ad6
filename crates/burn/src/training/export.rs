//! Writing the trained model.

use std::path::Path;

use lancer_backend::{LearnerError, WeightFormat};
use lancer_model::{ConvertFormat, ModelError, Tensor, TensorSource, write_model};

use super::{BurnLearner, adapter};

/// Writes the model to a GGUF file or a Hugging Face folder, adapters merged.
pub(crate) fn export(learner: &BurnLearner, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
    let format = match format {
        WeightFormat::F32 => ConvertFormat::F32,
        WeightFormat::Half => ConvertFormat::Half,
        WeightFormat::Q8_0 => ConvertFormat::Q8_0,
    };
    write_model(&learner.model, learner, path, format)
        .map_err(|error| LearnerError::Export { path: path.into(), source: error.into() })
}

impl TensorSource for BurnLearner {
    fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        if let Some(lora) = self.settings.adapters() {
            let mut weights = self.model.base_tensor(name)?;
            if let Some(pair) = adapter::pair(self, name) {
                pair.merge_into(lora.scale(), &mut weights);
            }
            return Ok(weights);
        }
        let parameter = self
            .transformer
            .parameter(name)
            .ok_or_else(|| ModelError::NoTensor { path: self.model.path().into(), tensor: name.into() })?;
        Ok(Tensor { data: parameter.in_files(), shape: parameter.shape.clone() })
    }
}
