//! What computes: ONNX Runtime's execution providers.

use ort::ep::ExecutionProviderDispatch;
use serde::{Deserialize, Serialize};

/// What computes a model. All but the processor need the cargo feature of their name and an ONNX Runtime that was built
/// with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA GPUs.
    #[cfg(feature = "cuda")]
    Cuda,
    /// NVIDIA GPUs, the model compiled for the GPU at hand.
    #[cfg(feature = "tensorrt")]
    TensorRt,
    /// Apple's neural engine and GPUs.
    #[cfg(feature = "coreml")]
    CoreMl,
    /// GPUs on Windows.
    #[cfg(feature = "directml")]
    DirectMl,
}

impl Provider {
    /// What a session is built with. Loading a model fails where the library does not have it.
    pub(super) fn dispatch(self) -> ExecutionProviderDispatch {
        match self {
            Self::Cpu => ort::ep::CPU::default().build(),
            #[cfg(feature = "cuda")]
            Self::Cuda => ort::ep::CUDA::default().build(),
            #[cfg(feature = "tensorrt")]
            Self::TensorRt => ort::ep::TensorRT::default().build(),
            #[cfg(feature = "coreml")]
            Self::CoreMl => ort::ep::CoreML::default().build(),
            #[cfg(feature = "directml")]
            Self::DirectMl => ort::ep::DirectML::default().build(),
        }
        .error_on_failure()
    }
}
