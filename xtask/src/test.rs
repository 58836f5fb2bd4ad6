//! `cargo xtask test`: every check of the project.

use std::process::Command;

use crate::{
    process::{Failure, output, run as run_program},
    setup::Environment,
    vulkan,
};

/// Runs the checks one after the other and stops at the first that fails.
///
/// All of them use the release profile, so that the heavy dependencies are compiled once.
pub(crate) fn run() -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    vulkan::prepare()?;
    let cargo = |arguments: &[&str]| run_program(environment.cargo().args(arguments));
    cargo(&["fmt", "--all", "--check"])?;
    // With what only other programs than lancer use, and the graphics card that a driver in software can stand for.
    let workspace = ["--release", "--workspace", "--features", "lancer-data/lazy,lancer/burn-wgpu"];
    cargo(&[&["clippy"], &workspace[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
    // Each engine's feature alone, and none; all of them together are the workspace.
    for engine in ["", "llama-cpp", "burn-cpu", "burn-wgpu", "onnx"] {
        let features = ["--no-default-features", "--features", engine];
        let clippy = ["clippy", "--release", "--package", "lancer"];
        cargo(&[&clippy[..], &features[..], &["--", "-D", "warnings"]].concat())?;
    }
    // CUDA's own compiler is LLVM, which a build script downloads, but not for a documentation that is only checked.
    let cuda =
        ["clippy", "--release", "--package", "lancer-burn", "--features", "cuda", "--", "-D", "warnings"];
    run_program(environment.cargo().args(cuda).env("DOCS_RS", "1"))?;
    // What ONNX Runtime computes with elsewhere, and the writer without the engine.
    let providers = "cuda,tensorrt,coreml,directml";
    for features in [["--features", providers], ["--no-default-features", "--quiet"]] {
        let check = ["check", "--release", "--package", "lancer-onnx"];
        cargo(&[&check[..], &features[..]].concat())?;
    }
    cargo(&[&["test"], &workspace[..], &["--doc"]].concat())?;
    // Last, since its closing lines count the tests.
    if output(Command::new("cargo").args(["nextest", "--version"])).is_some() {
        cargo(&[&["nextest", "run"], &workspace[..]].concat())
    } else {
        cargo(&[&["test"], &workspace[..], &["--all-targets"]].concat())
    }
}
