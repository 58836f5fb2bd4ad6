//! Computes over and over, for `cargo xtask bench turns`: `cargo run --release -p lancer-onnx --example onnx_steps -- MODEL
//! THREADS prompts|SAMPLES`. Prints the tokens and the seconds of each prompt, or of each step of so many samples.

use std::{
    error::Error,
    io::{self, Write},
    num::NonZeroU32,
    ops::ControlFlow,
    path::Path,
};

use lancer_backend::speed;
use lancer_onnx::{OnnxRuntime, OnnxSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads, work] = arguments.as_slice() else {
        return Err("give a model, a number of threads, and `prompts` or a number of samples".into());
    };
    let threads: NonZeroU32 = threads.parse()?;
    let settings = OnnxSettings { threads: Some(threads), ..OnnxSettings::default() };
    // As lancer does.
    lancer_memory::move_into_large_pages();
    let mut engine = OnnxRuntime::load(Path::new(model), &settings)?;
    speed::repeat(&mut engine, work.parse()?, &mut |tokens, took| {
        // Nobody reads any more where it fails.
        match writeln!(io::stdout(), "{tokens} {}", took.as_secs_f64()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    Ok(())
}
