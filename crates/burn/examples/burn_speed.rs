//! How fast a model runs: `cargo run --release -p lancer-burn --example burn_speed -- MODEL [THREADS]
//! [cpu|wgpu|cuda] [f32|bf16] [STEP_TOKENS]`, MODEL a GGUF file or a Hugging Face folder. Prints a line of JSON, for `cargo xtask bench engines`.

use std::{error::Error, path::Path};

use lancer_backend::speed;
use lancer_burn::{BurnBackend, BurnDevice, BurnSettings, Weights};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, others @ ..] = arguments.as_slice() else { return Err("give a model".into()) };
    if let Some(threads) = others.first() {
        // Burn computes in rayon's threads.
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    }
    let named = others.get(1).map_or("cpu", String::as_str);
    let device = BurnDevice::BUILT_IN.iter().copied().find(|device| device.name() == named);
    let device = device.ok_or_else(|| format!("there is no device `{named}` in this build"))?;
    let weights = match others.get(2).map_or("f32", String::as_str) {
        "f32" => Weights::F32,
        "bf16" => Weights::Bf16,
        other => return Err(format!("weights are in f32 or bf16, not in {other}").into()),
    };
    let mut settings = BurnSettings { device, weights, ..BurnSettings::default() };
    if let Some(tokens) = others.get(3) {
        settings.step_tokens = Some(tokens.parse()?);
    }
    // As lancer does.
    lancer_memory::move_into_large_pages();
    let speed = speed::measure(|| BurnBackend::load(Path::new(model), &settings))?;
    println!("{speed}");
    Ok(())
}
