//! `cargo xtask torture`: runs that are killed, starved and lied to (crates/simulator).

use crate::{
    process::{Failure, run as run_program},
    setup::{Environment, WORKSPACE},
};

/// Builds the simulator, and the program itself where `--binary` asks for it, and makes the runs.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let build =
        |binary: &str| run_program(environment.cargo().arg("build").args(WORKSPACE).args(["--bin", binary]));
    build("torture")?;
    let folder = environment.target().join("release");
    let mut torture = std::process::Command::new(folder.join("torture"));
    for argument in arguments {
        torture.arg(argument);
        if argument == "--binary" {
            build("lancer")?;
            torture.arg(folder.join("lancer"));
        }
    }
    run_program(&mut torture)
}
