//! Converts a model: `cargo run --release --example convert -- FROM TO f32|half|q8_0`.

use std::{env, error::Error, path::Path};

use lancer_model::{ConvertFormat, Model, convert};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to, format] = arguments.as_slice() else {
        return Err("usage: convert FROM TO f32|half|q8_0".into());
    };
    let format = match format.as_str() {
        "f32" => ConvertFormat::F32,
        "half" => ConvertFormat::Half,
        "q8_0" => ConvertFormat::Q8_0,
        other => return Err(format!("the format is f32, half or q8_0, not {other}").into()),
    };
    convert(&Model::open(Path::new(from))?, Path::new(to), format)?;
    Ok(())
}
