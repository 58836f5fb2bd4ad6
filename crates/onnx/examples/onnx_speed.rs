//! How fast a model runs: `cargo run --release -p lancer-onnx --example onnx_speed -- MODEL [THREADS] [cpu|cuda|webgpu|...]`,
//! MODEL an ONNX folder or file. Prints a line of JSON, for `cargo xtask bench engines`.

use std::{error::Error, num::NonZeroU32, path::Path};

use lancer_backend::speed;
use lancer_onnx::{OnnxRuntime, OnnxSettings, Provider};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, others @ ..] = arguments.as_slice() else { return Err("give a model".into()) };
    let threads: Option<NonZeroU32> = others.first().map(|threads| threads.parse()).transpose()?;
    let provider: Provider = serde_json::from_value(others.get(1).map_or("cpu", String::as_str).into())?;
    let settings = OnnxSettings { threads, provider, ..OnnxSettings::default() };
    // As lancer does.
    lancer_memory::move_into_large_pages();
    let speed = speed::measure(|| OnnxRuntime::load(Path::new(model), &settings))?;
    println!("{speed}");
    Ok(())
}
