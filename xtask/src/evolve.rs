//! `cargo xtask evolve`: everything from a fresh checkout to an improved model.

use std::process::Command;

use crate::{
    model,
    process::{Failure, run as run_program},
    setup::{Environment, root},
};

/// Builds `lancer`, fetches the default model unless another is named, and runs `lancer evolve` with `options`.
pub(crate) fn run(options: &[String]) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    run_program(environment.cargo().args(["build", "--release", "--workspace", "--bin", "lancer"]))?;
    let mut lancer = Command::new(environment.target().join("release/lancer"));
    lancer.current_dir(root()).arg("evolve");
    let gives =
        |name: &str| options.iter().any(|option| option == name || option.starts_with(&format!("{name}=")));
    if !gives("--model") && !gives("--help") && !gives("-h") {
        lancer.arg("--model").arg(model::fetch(environment.target())?);
    }
    run_program(lancer.args(options))
}
