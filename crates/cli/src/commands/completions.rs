//! `lancer completions`: what a shell completes commands and options with.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Print what a shell completes lancer's commands and options with.
///
/// In bash: `source <(lancer completions bash)`. Zsh and fish read it from a file in their folder of completions.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions of `program`.
pub(crate) fn run(arguments: &Arguments, mut program: Command) {
    let name = program.get_name().to_owned();
    // `generate` panics where it cannot write, as into a pipe that is closed.
    let mut script = Vec::new();
    generate(arguments.shell, &mut program, name, &mut script);
    outln!("{}", String::from_utf8_lossy(&script).trim_end());
}
