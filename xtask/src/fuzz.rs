//! `cargo xtask fuzz`: files that are not what they should be, given to everything that reads files.

use crate::{
    process::{Failure, run as run_program},
    setup::{Environment, WORKSPACE},
};

/// Builds `lancer-fuzz` and runs it with these arguments: targets, `--minutes N` or `--runs N`, `--seed N`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let build = [&["build"], &WORKSPACE[..], &["--bin", "lancer-fuzz"]].concat();
    run_program(environment.cargo().args(build))?;
    let mut program = environment.command(&environment.target().join("release/lancer-fuzz"));
    run_program(program.args(arguments))
}
