//! GGUF, the model file format of llama.cpp
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), versions 2 and 3, little-endian.

mod check;
mod metadata;
mod reader;
mod writer;

pub(crate) use check::{MAX_TOKEN_BYTES, MAX_TOKENS};
pub use lancer_kernels::BlockFormat;
pub use metadata::{Metadata, Value};
pub use reader::{GgufFile, TensorInfo};
pub use writer::{GgufFormat, GgufTensor, write};

/// The first four bytes of every GGUF file.
const MAGIC: [u8; 4] = *b"GGUF";

/// Where tensors begin, unless the metadata says otherwise: at multiples of so many bytes.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The metadata key of the alignment.
const ALIGNMENT_KEY: &str = "general.alignment";
