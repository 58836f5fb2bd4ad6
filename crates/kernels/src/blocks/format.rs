//! How weights are stored.

/// A storage type of ggml that can be read as `f32`. Its layouts are those of `ggml-common.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockFormat {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    BF16,
    /// Blocks of 32: a scale and 4-bit integers around 8.
    Q4_0,
    /// Blocks of 32: a scale, a minimum and 4-bit integers.
    Q4_1,
    /// Blocks of 32: a scale and 5-bit integers around 16.
    Q5_0,
    /// Blocks of 32: a scale, a minimum and 5-bit integers.
    Q5_1,
    /// Blocks of 32: a scale and 8-bit integers.
    Q8_0,
    /// Blocks of 256 in eight parts, each with a 6-bit scale and minimum, and 4-bit integers.
    Q4K,
    /// Blocks of 256 in eight parts, each with a 6-bit scale and minimum, and 5-bit integers.
    Q5K,
    /// Blocks of 256 in sixteen parts, each with an 8-bit scale, and 6-bit integers.
    Q6K,
}

impl BlockFormat {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// The format with this number in GGUF files; `None` for those that cannot be read here.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.number() == number)
    }

    /// The number of the format in GGUF files.
    pub fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
            Self::BF16 => 30,
        }
    }

    /// Number of weights in a block; a row's length is a multiple of it.
    pub fn block_length(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Number of bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }
}
