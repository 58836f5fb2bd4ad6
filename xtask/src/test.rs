//! `cargo xtask test`: every check of the project.

use std::process::Command;

use crate::{
    process::{Failure, output, run as run_program},
    setup::{Environment, WORKSPACE},
    vulkan, webgpu,
};

/// The features of which each is checked alone, none of them, and all together but CUDA of Burn's.
const ENGINES: [&str; 11] = [
    "",
    "llama-cpp,burn-cpu,burn-wgpu,onnx-cuda,onnx-tensorrt,onnx-coreml,onnx-directml,onnx-webgpu",
    "llama-cpp",
    "burn-cpu",
    "burn-wgpu",
    "onnx",
    "onnx-cuda",
    "onnx-tensorrt",
    "onnx-coreml",
    "onnx-directml",
    "onnx-webgpu",
];

/// Runs the checks one after the other and stops at the first that fails.
///
/// All of them use the release profile, so that the heavy dependencies are compiled once.
pub(crate) fn run() -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    vulkan::prepare()?;
    let cargo = |arguments: &[&str]| run_program(environment.cargo().args(arguments));
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&[&["clippy"], &WORKSPACE[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
    for engines in ENGINES {
        let features = ["--no-default-features", "--features", engines];
        let clippy = ["clippy", "--release", "--package", "lancer"];
        cargo(&[&clippy[..], &features[..], &["--", "-D", "warnings"]].concat())?;
    }
    // CUDA's own compiler is LLVM, which a build script downloads, but not for a documentation that is only checked.
    let cuda = ["--package", "lancer", "--no-default-features", "--features", "burn-cuda"];
    let cuda = [&["clippy", "--release"], &cuda[..], &["--", "-D", "warnings"]].concat();
    run_program(environment.cargo().args(cuda).env("DOCS_RS", "1"))?;
    // What writes ONNX models, without the engine.
    let writer = ["--package", "lancer-onnx", "--no-default-features"];
    cargo(&[&["clippy", "--release"], &writer[..], &["--", "-D", "warnings"]].concat())?;
    cargo(&[&["test"], &WORKSPACE[..], &["--doc"]].concat())?;
    // By another library than the other tests of ONNX Runtime, and so apart from them.
    if let Some(variables) = webgpu::prepare(environment.target())? {
        // One at a time: ONNX Runtime's WebGPU fails where two models of a process are computed at once.
        let one = ["--test", "providers", "--", "webgpu", "--ignored", "--test-threads", "1"];
        let webgpu = [&["test"], &WORKSPACE[..], &one].concat();
        run_program(environment.cargo().args(webgpu).envs(variables))?;
    }
    // Last, since its closing lines count the tests.
    if output(Command::new("cargo").args(["nextest", "--version"])).is_some() {
        cargo(&[&["nextest", "run"], &WORKSPACE[..]].concat())
    } else {
        cargo(&[&["test"], &WORKSPACE[..], &["--all-targets"]].concat())
    }
}
