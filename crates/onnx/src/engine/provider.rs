//! What computes: ONNX Runtime's execution providers.

use ort::{
    ep::ExecutionProviderDispatch,
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
};
use serde::{Deserialize, Serialize};

use crate::{ExportSettings, Operators, WeightType};

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
    /// NVIDIA GPUs, the model compiled for the GPU at hand; what `TensorRT` does not know is computed by CUDA.
    #[cfg(feature = "tensorrt")]
    TensorRt,
    /// Apple's neural engine and GPUs.
    #[cfg(feature = "coreml")]
    CoreMl,
    /// GPUs on Windows.
    #[cfg(feature = "directml")]
    DirectMl,
    /// Any GPU, through Vulkan, Metal or Direct3D 12. Models of plain operators only: its `GroupQueryAttention` takes
    /// sequences of a batch for equally long. Two models of one process must not be computed at the same time, which it
    /// cannot do (as of ONNX Runtime 1.27).
    #[cfg(feature = "webgpu")]
    WebGpu,
}

impl Provider {
    /// What a session is built with, in the order in which they are asked for each operator. Loading a model fails where
    /// the library does not have one.
    pub(super) fn dispatch(self) -> Vec<ExecutionProviderDispatch> {
        let all = match self {
            Self::Cpu => vec![ort::ep::CPU::default().build()],
            #[cfg(feature = "cuda")]
            Self::Cuda => vec![cuda()],
            #[cfg(feature = "tensorrt")]
            Self::TensorRt => vec![ort::ep::TensorRT::default().build(), cuda()],
            #[cfg(feature = "coreml")]
            Self::CoreMl => vec![ort::ep::CoreML::default().build()],
            #[cfg(feature = "directml")]
            Self::DirectMl => vec![ort::ep::DirectML::default().build()],
            #[cfg(feature = "webgpu")]
            Self::WebGpu => vec![ort::ep::WebGPU::default().build()],
        };
        all.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect()
    }

    /// The package on PyPI whose library has it.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Cpu => "onnxruntime",
            #[cfg(feature = "cuda")]
            Self::Cuda => "onnxruntime-gpu",
            #[cfg(feature = "tensorrt")]
            Self::TensorRt => "onnxruntime-gpu",
            #[cfg(feature = "coreml")]
            Self::CoreMl => "onnxruntime",
            #[cfg(feature = "directml")]
            Self::DirectMl => "onnxruntime-directml",
            #[cfg(feature = "webgpu")]
            Self::WebGpu => "onnxruntime-webgpu",
        }
    }

    /// The memory that the KV cache is kept in; `None` is the processor's, which Core ML computes from too.
    pub(super) fn memory(self) -> ort::Result<Option<MemoryInfo<'static>>> {
        let device: Option<AllocationDevice<'static>> = match self {
            Self::Cpu => None,
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(AllocationDevice::CUDA),
            #[cfg(feature = "tensorrt")]
            Self::TensorRt => Some(AllocationDevice::CUDA),
            #[cfg(feature = "coreml")]
            Self::CoreMl => None,
            #[cfg(feature = "directml")]
            Self::DirectMl => Some(AllocationDevice::DIRECTML),
            #[cfg(feature = "webgpu")]
            Self::WebGpu => Some(AllocationDevice::WEBGPU_BUFFER),
        };
        device
            .map(|device| MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default))
            .transpose()
    }

    /// Whether its `GroupQueryAttention` takes sequences of different lengths in one batch.
    pub(super) fn has_fused_attention(self) -> bool {
        match self {
            #[cfg(feature = "webgpu")]
            Self::WebGpu => false,
            _ => true,
        }
    }

    /// The form of a model that it computes best: CUDA's `GroupQueryAttention` takes 16-bit floats only, Core ML and
    /// WebGPU have none that would do.
    #[must_use]
    pub fn export_settings(self) -> ExportSettings {
        let (weights, operators) = match self {
            Self::Cpu => (WeightType::F32, Operators::Fused),
            #[cfg(feature = "cuda")]
            Self::Cuda => (WeightType::F16, Operators::Fused),
            #[cfg(feature = "tensorrt")]
            Self::TensorRt => (WeightType::F16, Operators::Fused),
            #[cfg(feature = "directml")]
            Self::DirectMl => (WeightType::F16, Operators::Fused),
            #[cfg(feature = "coreml")]
            Self::CoreMl => (WeightType::F32, Operators::Plain),
            #[cfg(feature = "webgpu")]
            Self::WebGpu => (WeightType::F32, Operators::Plain),
        };
        ExportSettings { weights, operators, ..ExportSettings::default() }
    }
}

/// With products of 32-bit floats in all their bits: those of models in f32 are rounded to 19 bits by ONNX Runtime's own
/// choice, which moves log-probabilities in the third digit.
#[cfg(feature = "cuda")]
fn cuda() -> ExecutionProviderDispatch {
    ort::ep::CUDA::default().with_tf32(false).build()
}
