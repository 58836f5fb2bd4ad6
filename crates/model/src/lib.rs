//! Model files: what is in them, and writing them again.
//!
//! * [`Model`] opens a GGUF file or a Hugging Face folder: its [`Config`], its [`Tokenizer`], its chat template, and its
//!   weights by their Hugging Face names.
//! * [`Adapter`] is what training makes of a model whose own weights stay as they are: a PEFT folder or a GGUF adapter. A
//!   [`Model`] is a base and perhaps an adapter.
//! * [`convert`] writes a model in the other form, [`write_model`] with other weights, such as trained ones.
//! * [`gguf`] reads and writes llama.cpp's format; quantised weights are read as `f32`.
//! * [`ContentHash`] names what a model is by the content of its files.
//! * [`ChatTemplate`] renders a chat as its model was trained to read it.
//!
//! A file is not trusted: what it claims is held against its length before anything is allocated for it, and an error
//! names the file, the tensor and what is wrong.
//!
//! ```
//! use lancer_model::{Tensor, gguf};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("one.gguf");
//! let described = [gguf::GgufTensor { name: "one".into(), shape: vec![2, 32] }];
//! let weights = Tensor { shape: vec![2, 32], data: vec![0.5; 64] };
//! gguf::write(&path, &gguf::Metadata::default(), &described, gguf::GgufFormat::Q8_0, |_| {
//!     Ok::<_, lancer_model::ModelError>(weights.clone())
//! })?;
//!
//! let file = gguf::GgufFile::open(&path)?;
//! assert_eq!(file.tensors()["one"].kind, gguf::BlockFormat::Q8_0);
//! let read = file.tensor("one")?;
//! assert!(read.data.iter().all(|weight| (weight - 0.5).abs() < 1e-3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adapter;
mod carried;
mod chat_template;
mod config;
mod content;
mod convert;
mod end_tokens;
mod error;
mod family;
mod folder;
pub mod gguf;
mod gguf_weights;
mod json_file;
mod mapped;
mod model;
mod names;
mod rotary;
mod rotary_layout;
mod safetensors_file;
mod sliding_window;
mod tensor;
mod tokenizer;

pub use adapter::{Adapter, AdapterBase, AdapterPair, AdapterScale};
pub use chat_template::{
    ChatInput, ChatTemplate, EncodedConversation, GenerationPrompt, ModelTurns, RenderedChat, SpecialTexts,
    SystemTurn,
};
pub use config::{Config, Head};
pub use content::{ContentHash, ModelContent, ModelFiles, NotAHash};
pub use convert::{ConvertFormat, TensorSource, convert, write_model};
pub use end_tokens::NamedEnds;
pub use error::ModelError;
pub use family::{Activation, Bias, BlockNorms, Design, EmbeddingScale, Family, HeadNorm, NormWeight};
pub use folder::{FolderType, write_folder};
pub use mapped::StoredMatrix;
pub use model::Model;
pub use rotary::{Llama3Scaling, Rotary, RotaryScaling};
pub use sliding_window::{SlidingWindow, WindowedLayers};
pub use tensor::Tensor;
pub use tokenizer::{SpecialTokens, Tokenizer};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
