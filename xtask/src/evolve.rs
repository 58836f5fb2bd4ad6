//! `cargo xtask evolve`: from a fresh checkout to an improved model.

use std::{path::PathBuf, process::Command};

use crate::{
    model,
    process::{Failure, run as run_program},
    setup::{Environment, root},
};

/// Builds the binary, fetches the default model, and runs `lancer evolve` with what the user gave after `--`.
///
/// Where the user names neither a recipe nor seeds, it is the first run: one iteration on the project's own seeds, by
/// fixtures/first.toml.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    let environment = Environment::prepare()?;
    // The whole workspace: cargo would compile some dependencies again for the binary alone.
    run_program(environment.cargo().args(["build", "--release", "--workspace"]))?;
    let model = model::fetch(environment.target())?;
    let mut lancer = Command::new(environment.target().join("release/lancer"));
    lancer.arg("evolve");
    let given = |names: &[&str]| {
        arguments.iter().any(|argument| names.iter().any(|name| argument.split('=').next() == Some(name)))
    };
    if !given(&["--help", "-h", "--recipe", "--seeds"]) {
        lancer.arg("--recipe").arg(fixture("first.toml"));
        if !given(&["--run"]) {
            lancer.arg("--run").arg(root().join("runs/first"));
        }
        if !given(&["--model"]) {
            lancer.arg("--model").arg(&model);
        }
    }
    run_program(lancer.args(arguments))
}

fn fixture(name: &str) -> PathBuf {
    root().join("fixtures").join(name)
}
