//! Models as ONNX: written in Rust, and run by ONNX Runtime.

mod export;
mod proto;

pub use export::{ExportSettings, Operators, WeightType, export};
