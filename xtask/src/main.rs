//! `cargo xtask`: sets up what a build needs, runs every check, and runs the loop.

mod evolve;
mod model;
mod process;
mod setup;
mod test;

use std::{env, process::ExitCode};

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  setup                 get the build tools that are missing (cmake, libclang) and the default model
  evolve [-- OPTIONS]   build lancer and run one iteration; OPTIONS go to `lancer evolve`
  test                  run every check: formatting, clippy, tests, doc tests

Environment:
  CARGO_TARGET_DIR      where build outputs and tools go; with CI=true the default is a cache folder
                        outside the checkout
  LIBCLANG_PATH, CMAKE  use these instead of getting them from PyPI
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("setup") => setup::run(),
        Some("evolve") => evolve::run(after_dashes(&arguments[1..])),
        Some("test") => test::run(),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// What stands after `--`, or everything where there is none.
fn after_dashes(arguments: &[String]) -> &[String] {
    match arguments.iter().position(|argument| argument == "--") {
        Some(place) => &arguments[place + 1..],
        None => arguments,
    }
}
