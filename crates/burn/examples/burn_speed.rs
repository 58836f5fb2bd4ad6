//! How fast a model runs: `cargo run --release -p lancer-burn --example burn_speed -- MODEL [THREADS]`, MODEL a GGUF file or a Hugging Face
//! folder. Prints a line of JSON, for `cargo xtask bench engines`.

use std::{error::Error, path::Path};

use lancer_backend::speed;
use lancer_burn::{BurnBackend, BurnSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads @ ..] = arguments.as_slice() else { return Err("give a model".into()) };
    if let Some(threads) = threads.first() {
        // Burn computes in rayon's threads.
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    }
    let speed = speed::measure(|| BurnBackend::load(Path::new(model), &BurnSettings::default()))?;
    println!("{speed}");
    Ok(())
}
