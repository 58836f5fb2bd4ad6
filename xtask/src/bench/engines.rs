//! `cargo xtask bench engines`: the engines side by side on the default model, each in a process of its own that does the work
//! that `lancer_backend::speed` describes. Writes `docs/lab/bench/engines.md`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    measure::{Measured, in_turn, median},
    programs::{Programs, scratch, write},
    result::machine,
    rivals,
};
use crate::{
    process::Failure,
    setup::{Environment, root},
};

const THREADS: &str = "2";

/// What is measured of a model's weights in one engine.
struct Contestant {
    engine: &'static str,
    weights: &'static str,
    runs: Runs,
    /// What `lancer convert` is asked for.
    format: &'static str,
}

/// What runs the model.
#[derive(Clone, Copy)]
enum Runs {
    /// An example of lancer on a GGUF file, and what it is told after the threads.
    Gguf(&'static str, &'static [&'static str]),
    /// lancer's example on an ONNX folder.
    Onnx,
    /// Python on the same file.
    Python,
}

const fn contestant(
    engine: &'static str,
    weights: &'static str,
    runs: Runs,
    format: &'static str,
) -> Contestant {
    Contestant { engine, weights, runs, format }
}

const CONTESTANTS: [Contestant; 9] = [
    contestant("Burn", "F32", Runs::Gguf("burn_speed", &[]), "f32"),
    contestant("Burn", "BF16", Runs::Gguf("burn_speed", &["cpu", "bf16"]), "f32"),
    contestant("ONNX Runtime", "F32", Runs::Onnx, "f32"),
    contestant("Python's onnxruntime, same file", "F32", Runs::Python, "f32"),
    contestant("ONNX Runtime", "INT8", Runs::Onnx, "int8"),
    contestant("Python's onnxruntime, same file", "INT8", Runs::Python, "int8"),
    contestant("llama.cpp", "F32", Runs::Gguf("llama_cpp_speed", &[]), "f32"),
    contestant("llama.cpp", "F16", Runs::Gguf("llama_cpp_speed", &[]), "half"),
    contestant("llama.cpp", "Q8_0", Runs::Gguf("llama_cpp_speed", &[]), "q8_0"),
];

/// What is in a column: its heading, its digits after the point, and where it is in what a run printed.
const COLUMNS: [(&str, usize, &str); 7] = [
    ("load, s", 2, "/load_seconds"),
    ("first prompts", 0, "/first_prompt_tokens_per_second"),
    ("prompts", 0, "/prompt_tokens_per_second"),
    ("1 sample", 0, "/decode/0/tokens_per_second"),
    ("8 samples", 0, "/decode/1/tokens_per_second"),
    ("32 samples", 0, "/decode/2/tokens_per_second"),
    ("peak memory, MB", 0, "/peak_memory"),
];

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let python = rivals::python(&environment)?;
    let models = CONTESTANTS
        .iter()
        .map(|contestant| model(&environment, &programs, contestant))
        .collect::<Result<Vec<_>, _>>()?;
    let mut commands: Vec<_> = CONTESTANTS
        .iter()
        .zip(&models)
        .map(|(contestant, model)| {
            let (environment, programs, python) = (&environment, &programs, &python);
            move || command(environment, programs, python, contestant, model)
        })
        .collect();
    let names: Vec<String> =
        CONTESTANTS.iter().map(|one| format!("{}, {}", one.engine, one.weights)).collect();
    let mut turns: Vec<(&str, &mut dyn FnMut() -> Command)> = names
        .iter()
        .zip(&mut commands)
        .map(|(name, command)| (name.as_str(), command as &mut dyn FnMut() -> Command))
        .collect();
    let measured = in_turn(rounds, &mut turns)?;
    let page = page(rounds, &measured)?;
    println!("{page}");
    write(&root().join("docs/lab/bench/engines.md"), &page)?;
    let found: Vec<Value> = CONTESTANTS
        .iter()
        .zip(&measured)
        .map(|(one, runs)| {
            let runs: Vec<&Value> = runs.iter().map(|run| &run.report).collect();
            json!({ "engine": one.engine, "weights": one.weights, "rounds": runs })
        })
        .collect();
    write(&scratch(&environment, "engines.json"), &format!("{:#}\n", Value::from(found)))
}

/// The model in the form that a contestant runs, written where it is not there yet.
fn model(
    environment: &Environment,
    programs: &Programs,
    contestant: &Contestant,
) -> Result<PathBuf, Failure> {
    let format = contestant.format;
    let (name, to_onnx): (String, &[&str]) = match contestant.runs {
        Runs::Gguf(..) => (format!("engines-{format}.gguf"), &[]),
        Runs::Onnx | Runs::Python => (format!("engines-{format}.onnx-folder"), &["--to", "onnx"]),
    };
    let path = scratch(environment, &name);
    programs.convert(&path, &[to_onnx, &["--format", format]].concat())?;
    Ok(path)
}

fn command(
    environment: &Environment,
    programs: &Programs,
    python: &Path,
    contestant: &Contestant,
    model: &Path,
) -> Command {
    let mut command = match contestant.runs {
        Runs::Gguf(example, _) => programs.example(example),
        Runs::Onnx => environment.command(&programs.example_path("onnx_speed")),
        Runs::Python => {
            let mut command = Command::new(python);
            command.arg(root().join("fixtures/onnx/speed.py"));
            command
        }
    };
    match contestant.runs {
        Runs::Gguf(..) | Runs::Onnx => command.arg(model),
        Runs::Python if contestant.format == "int8" => command.arg(model.join("onnx/model_int8.onnx")),
        Runs::Python => command.arg(model.join("onnx/model.onnx")),
    };
    command.arg(THREADS);
    if let Runs::Gguf(_, arguments) = contestant.runs {
        command.args(arguments);
    }
    command
}

fn page(rounds: usize, measured: &[Vec<Measured>]) -> Result<String, Failure> {
    let mut page = format!(
        "# What `cargo xtask bench engines` measured\n\nWritten by that command (`--rounds {rounds}`) on {}, with {THREADS} \
         threads: SmolLM2-135M-Instruct from its Q4_1 weights, prompts of 512 tokens, the first four after \
         loading and four more than 12 seconds later, then 64 greedy tokens of so many samples side by side, in tokens a second. \
         Medians of the rounds, in each of which every line had its turn; lowest and highest \
         in brackets.\n\n| engine | weights |",
        machine()
    );
    for (heading, ..) in COLUMNS {
        let _ = write!(page, " {heading} |");
    }
    let _ = writeln!(page, "\n{}|", "|---".repeat(2 + COLUMNS.len()));
    for (contestant, runs) in CONTESTANTS.iter().zip(measured) {
        let _ = write!(page, "| {} | {} |", contestant.engine, contestant.weights);
        for (heading, digits, place) in COLUMNS {
            let numbers = runs
                .iter()
                .map(|run| {
                    let number = run.report.pointer(place).and_then(Value::as_f64);
                    let scale = if place == "/peak_memory" { 1e-6 } else { 1.0 };
                    number.map(|number| number * scale).ok_or_else(|| {
                        Failure::new(format!("{}: no {heading} in {}", contestant.engine, run.report))
                    })
                })
                .collect::<Result<Vec<f64>, _>>()?;
            let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let middle = median(numbers);
            let _ = write!(page, " {middle:.digits$} ({low:.digits$} to {high:.digits$}) |");
        }
        page.push('\n');
    }
    Ok(page)
}
