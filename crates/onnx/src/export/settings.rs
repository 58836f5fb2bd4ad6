//! How a model is written as ONNX.

/// The default of [`ExportSettings::external_above`].
const GIGABYTE: u64 = 1 << 30;

/// How a model is written as ONNX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExportSettings {
    /// How weights are stored.
    pub weights: WeightType,
    /// From which operators the model is made.
    pub operators: Operators,
    /// Weights of more bytes than this go into a file beside the model's, `model.onnx_data`. A protobuf, which the
    /// model's file is, can hold no more than 2 GB.
    pub external_above: u64,
}

impl Default for ExportSettings {
    /// 32-bit floats, fused operators, weights of more than 1 GB in a file of their own.
    fn default() -> Self {
        Self { weights: WeightType::F32, operators: Operators::Fused, external_above: GIGABYTE }
    }
}

/// How weights are stored, and in what the model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, in which it computes too; for GPUs. The logits are 32-bit floats.
    F16,
    /// Matrices in blocks of 32 8-bit integers with a common scale (`MatMulNBits`, which ONNX Runtime computes in 8-bit
    /// integers on a CPU), the embedding in 16-bit floats, the rest in 32-bit floats.
    Int8,
}

impl WeightType {
    /// The name of the model's file, as onnx-community names it.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::F32 => "model.onnx",
            Self::F16 => "model_fp16.onnx",
            Self::Int8 => "model_int8.onnx",
        }
    }
}

/// From which operators a model is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operators {
    /// ONNX Runtime's own where it has one for several of ONNX's (`GroupQueryAttention`, `RotaryEmbedding`,
    /// `SkipSimplifiedLayerNormalization`, `QuickGelu`). Sequences of a batch must begin in its first column.
    Fused,
    /// ONNX's own (opset 18) only, which any runtime knows; weights in 8-bit integers excepted.
    Plain,
}
