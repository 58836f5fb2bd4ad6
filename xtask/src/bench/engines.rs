//! `cargo xtask bench engines [THREADS] [PYTHON]`: the engines side by side on the default model.
//!
//! Each line is a process of its own, which does the work that `lancer_backend::speed` describes. PYTHON is an interpreter
//! with the PyPI packages onnxruntime and numpy, which drives the same ONNX files.

use std::{fs, path::Path, process::Command};

use crate::{
    model,
    process::{Failure, output, run as run_program},
    setup::{Environment, root},
};

/// Forms of the model, each with what `lancer convert` is asked for.
const ONNX: [(&str, &str); 2] = [("F32", "f32"), ("INT8", "int8")];
const GGUF: [(&str, &str); 3] = [("F32", "f32"), ("F16", "half"), ("Q8_0", "q8_0")];

/// Writes the model in each form, measures each, and prints a table.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let threads = arguments.first().map_or("2", String::as_str);
    let python = arguments.get(1);
    let environment = Environment::prepare()?;
    let model = model::fetch(environment.target())?;
    let examples = environment.target().join("release/examples");
    let cargo = |arguments: &[&str]| run_program(environment.cargo().args(arguments));
    cargo(&["build", "--release", "--package", "lancer"])?;
    for (package, example) in [("lancer-onnx", "onnx_speed"), ("lancer-llama-cpp", "llama_cpp_speed")] {
        cargo(&["build", "--release", "--package", package, "--example", example])?;
    }
    let lancer = environment.target().join("release/lancer");
    let folder = environment.target().join("bench-engines");
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;

    println!(
        "| engine | weights | load, s | prompt, tokens/s | 1 sample | 8 samples | 32 samples | peak memory, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (weights, format) in ONNX {
        let to = folder.join(format!("{format}.onnx-folder"));
        let convert = ["--to", "onnx", "--format", format];
        run_program(Command::new(&lancer).arg("convert").args([&model, &to]).args(convert))?;
        let speed = environment.command(&examples.join("onnx_speed"));
        row("ONNX Runtime", weights, speed, &to, threads)?;
        if let Some(python) = python {
            let file = if format == "int8" { "onnx/model_int8.onnx" } else { "onnx/model.onnx" };
            let mut script = Command::new(python);
            script.arg(root().join("fixtures/onnx/speed.py"));
            row("Python's onnxruntime, same file", weights, script, &to.join(file), threads)?;
        }
    }
    for (weights, format) in GGUF {
        let to = folder.join(format!("{format}.gguf"));
        run_program(Command::new(&lancer).arg("convert").args([&model, &to]).args(["--format", format]))?;
        row("llama.cpp", weights, Command::new(examples.join("llama_cpp_speed")), &to, threads)?;
    }
    Ok(())
}

fn row(engine: &str, weights: &str, mut speed: Command, model: &Path, threads: &str) -> Result<(), Failure> {
    let cells = output(speed.arg(model).arg(threads))
        .ok_or_else(|| Failure::new(format!("{engine} could not be measured on {}", model.display())))?;
    println!("| {engine} | {weights} | {cells} |");
    Ok(())
}
