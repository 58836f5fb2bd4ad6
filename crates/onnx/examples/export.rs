//! Writes a model as ONNX: `cargo run --release -p lancer-onnx --example export -- MODEL FOLDER [f32|f16|int8] [fused|plain] [BYTES]`.
//!
//! Weights of more than `BYTES` go into a file of their own. `fixtures/onnx/check.py` holds what is written against
//! transformers.

use std::{error::Error, path::Path};

use lancer_model::Model;
use lancer_onnx::{ExportSettings, Operators, WeightType, export};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, rest @ ..] = arguments.as_slice() else {
        return Err("give a model and a folder to write".into());
    };
    let mut settings = ExportSettings::default();
    for setting in rest {
        match setting.as_str() {
            "f32" => settings.weights = WeightType::F32,
            "f16" => settings.weights = WeightType::F16,
            "int8" => settings.weights = WeightType::Int8,
            "fused" => settings.operators = Operators::Fused,
            "plain" => settings.operators = Operators::Plain,
            bytes => settings.external_above = bytes.parse()?,
        }
    }
    let model = Model::open(Path::new(from))?;
    Ok(export(&model, &model, Path::new(to), &settings)?)
}
