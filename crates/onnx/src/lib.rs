//! Models as ONNX: written in Rust, and run by ONNX Runtime.

#[cfg(feature = "engine")]
mod engine;
mod export;
mod graph;
mod proto;

#[cfg(feature = "engine")]
pub use engine::{LIBRARY_VARIABLE, LibraryError, OnnxRuntime, OnnxSettings, Provider, is_onnx};
pub use export::{ExportSettings, Operators, WeightType, export};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
