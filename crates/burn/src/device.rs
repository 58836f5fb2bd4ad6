//! Where a model is computed.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;
use burn::tensor::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Weights;

/// Where a model is computed. All of them compute in 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BurnDevice {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, through Vulkan, Metal or Direct3D 12. Needs the feature `wgpu`. The fastest GPU is taken, unless
    /// the environment's `CUBECL_WGPU_DEFAULT_DEVICE` names another, such as `IntegratedGpu(0)`.
    Wgpu,
    /// The first NVIDIA GPU that `CUDA_VISIBLE_DEVICES` lets be seen. Needs the feature `cuda`, and CUDA when it is used.
    Cuda,
}

/// A device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program cannot use such devices.
    #[error(
        "this program was built without the device `{0}`; build it with Burn's feature of that name (lancer: `--features burn-{0}`)"
    )]
    NotBuilt(&'static str),
    /// There is none.
    #[error("there is no device for `{device}`: {needs}")]
    NotFound {
        /// The device's name in settings.
        device: &'static str,
        /// What to do about it.
        needs: &'static str,
    },
    /// It lacks the numbers that are asked for.
    #[error("the device `{device}` has no products in bf16; use `products = \"f32\"`")]
    NoBf16 {
        /// The device's name in settings.
        device: &'static str,
    },
    /// It keeps weights in 32 bits only.
    #[error(
        "on the device `{device}` models are run with weights in f32; leave out `weights = \"bf16\"`, which is for `cpu`"
    )]
    NoBf16Weights {
        /// The device's name in settings.
        device: &'static str,
    },
}

/// A device with which something is computed, whose work is waited for when this is dropped: the last of what holds its
/// tensors. Where a process ended with work to do, CUDA would be gone before the thread that gives it the work.
#[derive(Debug)]
pub(crate) struct DeviceInUse(pub(crate) Device);

impl Drop for DeviceInUse {
    fn drop(&mut self) {
        // Whoever reads what failed is told; here nobody reads it.
        let _ = self.0.sync();
    }
}

impl BurnDevice {
    /// The devices that this program can use, where they are there.
    pub const BUILT_IN: &'static [Self] = &[
        Self::Cpu,
        #[cfg(feature = "wgpu")]
        Self::Wgpu,
        #[cfg(feature = "cuda")]
        Self::Cuda,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    pub(crate) fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Wgpu => wgpu(),
            Self::Cuda => cuda(),
        }
    }

    /// Checks that the device has products in bf16. The processor has them, whether fast or not.
    pub(crate) fn check_bf16(self, device: &Device) -> Result<(), DeviceError> {
        if self == Self::Cpu || device.supports_dtype(DType::BF16) {
            Ok(())
        } else {
            Err(DeviceError::NoBf16 { device: self.name() })
        }
    }

    /// Checks that models are run with such weights on the device.
    pub(crate) fn check_weights(self, weights: Weights) -> Result<(), DeviceError> {
        match (self, weights) {
            (Self::Cpu, _) | (_, Weights::F32) => Ok(()),
            (_, Weights::Bf16) => Err(DeviceError::NoBf16Weights { device: self.name() }),
        }
    }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, DeviceError> {
    use burn::tensor::DeviceKind;

    if Device::enumerate(DeviceType::Wgpu).is_empty() {
        return Err(DeviceError::NotFound {
            device: BurnDevice::Wgpu.name(),
            needs: "install the GPU's driver for Vulkan, or one in software (Debian's mesa-vulkan-drivers)",
        });
    }
    Ok(Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(BurnDevice::Wgpu.name()))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    use burn::tensor::DeviceIndex;

    if Device::enumerate(DeviceType::Cuda).is_empty() {
        return Err(DeviceError::NotFound {
            device: BurnDevice::Cuda.name(),
            needs: "install NVIDIA's driver and CUDA, and check `nvidia-smi`",
        });
    }
    Ok(Device::cuda(DeviceIndex::Default))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(BurnDevice::Cuda.name()))
}

/// All devices that this program can use, for tests.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = Device> {
    BurnDevice::BUILT_IN.iter().map(|device| device.open().unwrap_or_else(|error| panic!("{error}")))
}
