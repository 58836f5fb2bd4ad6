//! `cargo xtask`: sets up what a build needs and runs every check.

mod bench;
mod browser;
mod checksum;
mod dist;
mod evolve;
mod fuzz;
mod model;
mod onnxruntime;
mod parts;
mod process;
mod release;
mod servers;
mod setup;
mod skipped;
mod test;
mod torture;
mod vulkan;
mod webgpu;

use std::{env, process::ExitCode};

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  evolve   build lancer, get the default model, and run one iteration on fixtures/seeds.jsonl;
           what follows `--` goes to `lancer evolve` (`cargo xtask evolve -- --help` shows it all)
  setup    get the build tools that are missing (cmake, libclang), ONNX Runtime and the default model;
           `eval \"$(cargo xtask setup)\"` lets plain cargo build and test everything too
  test     run every check: formatting, lints, tests, doc tests; at the end it names the tests that were skipped and says how
           long each part took. `--install-driver` (or CI=true in the environment) lets it install a Vulkan driver in
           software by apt-get, as root; without a driver the tests that need one are skipped. `--browser` tests the page of
           `lancer serve` in the Chromium that is installed (LANCER_BROWSER names another), with packages of npm. `--servers`
           installs vLLM and llama.cpp's servers into the target folder (6 GB), for the tests of `--backend openai` with real
           servers
  release  whether every crate could be published: `cargo xtask release --dry-run` (with `--verify` it builds each package)
  dist     an archive and a Python wheel that run on any x86-64-v3 or aarch64 machine, in the target folder's `dist`;
           `--prebuilt PATH` packs a binary that exists
  fuzz     give damaged and hostile files to everything that reads files: all targets, or those that are named;
           `--minutes N` for each (1 by default) or `--runs N`, `--seed N`
  torture  runs with everything that can go wrong, each drawn from a seed: `cargo xtask torture --runs N --seed S`;
           `--binary` kills the program itself; docs/lab/torture.md says more
  bench    measure, against other tools where there are some: `cargo xtask bench data`, `engines`, `generate`, `growth`
           (training, by length, batch and model), `review` (of one engine after `--backend NAME`), `train`, `turns`
           (ONNX Runtime in lancer and in Python), `variants` (of training); all take `--rounds N`

Environment:
  CARGO_TARGET_DIR      where build outputs and tools go; with CI=true the default is a cache folder
                        outside the checkout
  LIBCLANG_PATH, CMAKE, ORT_DYLIB_PATH
                        use these instead of getting them from PyPI
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("setup") => setup::run(),
        Some("evolve") => evolve::run(&arguments[1..]),
        Some("test") => test::run(&arguments[1..]),
        Some("release") => release::run(&arguments[1..]),
        Some("dist") => dist::run(&arguments[1..]),
        Some("torture") => torture::run(&arguments[1..]),
        Some("fuzz") => fuzz::run(&arguments[1..]),
        Some("bench") => bench::run(&arguments[1..]),
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
