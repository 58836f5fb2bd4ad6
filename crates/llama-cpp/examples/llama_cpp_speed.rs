//! How fast a model runs: `cargo run --release -p lancer-llama-cpp --example llama_cpp_speed -- MODEL [THREADS]`, MODEL a GGUF file. Prints
//! a line of JSON, for `cargo xtask bench engines`.

use std::{error::Error, num::NonZeroU32, path::Path};

use lancer_backend::speed;
use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads @ ..] = arguments.as_slice() else { return Err("give a model".into()) };
    let threads: Option<NonZeroU32> = threads.first().map(|threads| threads.parse()).transpose()?;
    let settings = LlamaCppSettings { threads, ..LlamaCppSettings::default() };
    // As lancer does.
    lancer_memory::move_into_large_pages();
    let speed = speed::measure(|| LlamaCpp::load(Path::new(model), &settings))?;
    println!("{speed}");
    Ok(())
}
