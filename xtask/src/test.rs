//! `cargo xtask test`: every check of the project.

use std::{env, process::Command};

use crate::{
    browser, model,
    parts::Parts,
    process::{Failure, output, run as run_program},
    servers,
    setup::{Environment, WORKSPACE, WORKSPACE_WITHOUT_WGPU, root},
    skipped::{self, Skipped},
    vulkan, webgpu,
};

/// The features of the binary that are linted each by itself, none of them, the default ones, and those of ONNX Runtime
/// together.
const FEATURE_SETS: [&[&str]; 13] = [
    &[],
    &["default"],
    &["llama-cpp"],
    &["burn-cpu"],
    &["burn-wgpu"],
    &["openai"],
    &["serve"],
    &["onnx-cuda", "onnx-tensorrt", "onnx-coreml", "onnx-directml", "onnx-webgpu"],
    &["onnx-cuda"],
    &["onnx-tensorrt"],
    &["onnx-coreml"],
    &["onnx-directml"],
    &["onnx-webgpu"],
];

/// The features that decide how Polars and Burn are compiled, with which the workspace is linted too. Every feature set has
/// them, so that only the crates whose own code changes are linted anew: the binary and `lancer-onnx`.
const HEAVY: &str = "lancer-data/lazy,lancer-data/hub,lancer-burn/wgpu";

/// Runs the checks one after the other and stops at the first that fails.
///
/// All of them use the release profile and the same features, so that the heavy dependencies are compiled once.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let is_ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    let (mut installs, mut browses, mut with_servers) = (is_ci, false, false);
    for argument in arguments {
        match argument.as_str() {
            "--install-driver" => installs = true,
            "--browser" => browses = true,
            "--servers" => with_servers = true,
            _ => {
                let text =
                    "`cargo xtask test` takes nothing but `--install-driver`, `--browser` and `--servers`";
                return Err(Failure::usage(text));
            }
        }
    }
    let mut parts = Parts::default();
    let mut environment = parts.run("set-up", Environment::prepare)?;
    if with_servers {
        let variables = parts.run("servers", || servers::prepare(&environment))?;
        environment.add(variables);
    }
    let mut skipped = Skipped::begin(environment.target())?;
    let result = checks(&environment, is_ci, (installs, browses), &mut parts, &mut skipped);
    for line in skipped.lines() {
        eprintln!("{line}");
    }
    eprintln!("{}", parts.times());
    result
}

fn checks(
    environment: &Environment,
    is_ci: bool,
    (installs, browses): (bool, bool),
    parts: &mut Parts,
    skipped: &mut Skipped,
) -> Result<(), Failure> {
    let cargo = |arguments: &[&str]| run_program(environment.cargo().args(arguments));
    parts.run("formatting", || cargo(&["fmt", "--all", "--check"]))?;
    skipped.leave_out(
        "the tests of CUDA",
        "they are not built here; docs/reference/conformance.md says how to run them",
    );
    let driver = parts.run("Vulkan driver", || vulkan::prepare(installs))?;
    let workspace = if driver.is_ok() { WORKSPACE } else { WORKSPACE_WITHOUT_WGPU };
    if let Err(reason) = &driver {
        skipped
            .leave_out("the tests of Burn's wgpu device and tests/conformance.rs, not even compiled", reason);
    }
    parts.run("lints", || {
        cargo(&[&["clippy"], &workspace[..], &["--all-targets", "--", "-D", "warnings"]].concat())
    })?;
    parts.run("lints of feature sets", || {
        for set in FEATURE_SETS {
            let features: Vec<String> = set.iter().map(|feature| format!("lancer/{feature}")).collect();
            let features = [&[HEAVY.to_owned()], &features[..]].concat().join(",");
            let clippy = ["clippy", "--release", "--workspace", "--no-default-features"];
            // It has the ONNX engine in any case.
            let without_fuzz = ["--exclude", "lancer-fuzz", "--features", &features, "--", "-D", "warnings"];
            cargo(&[&clippy[..], &without_fuzz].concat())?;
        }
        Ok(())
    })?;
    parts.run("lints of CUDA", || {
        let features = ["--package", "lancer", "--no-default-features", "--features", "burn-cuda"];
        let clippy = [&["clippy", "--release"], &features[..], &["--", "-D", "warnings"]].concat();
        // CUDA's own compiler is LLVM, which a build script downloads, but not for a documentation that is only checked.
        run_program(environment.cargo().args(clippy).env("DOCS_RS", "1"))
    })?;
    let file = skipped.file().to_path_buf();
    let test = |arguments: &[&str]| {
        let mut command = environment.cargo();
        command.args(arguments).env(skipped::VARIABLE, &file);
        command
    };
    parts.run("doc tests", || run_program(&mut test(&[&["test"], &workspace[..], &["--doc"]].concat())))?;
    // By another library than the other tests of ONNX Runtime, and so apart from them.
    let webgpu = parts.run("WebGPU library and driver", || match &driver {
        Ok(()) => webgpu::prepare(environment.target(), installs),
        Err(reason) => Ok(Err(reason.clone())),
    })?;
    if let Err(reason) = &webgpu {
        skipped.leave_out("the tests of ONNX Runtime with WebGPU", reason);
    }
    if let Ok(variables) = &webgpu {
        // One at a time: ONNX Runtime's WebGPU fails where two models of a process are computed at once.
        let one = ["--test", "providers", "--", "webgpu", "--ignored", "--test-threads", "1"];
        let mut command = test(&[&["test"], &workspace[..], &one].concat());
        parts.run("tests of WebGPU", || run_program(command.envs(variables.iter().cloned())))?;
    }
    if is_ci {
        parts.run("default model", || {
            // Without it the tests that run it say that they were skipped.
            model::fetch(environment.target()).map(drop).or_else(|failure| {
                eprintln!("note: {failure}");
                Ok(())
            })
        })?;
    }
    if output(Command::new("mdbook").arg("--version")).is_some() {
        let folder = environment.target().join("book");
        let mut build = Command::new("mdbook");
        parts.run("book", || run_program(build.arg("build").arg(root()).arg("--dest-dir").arg(&folder)))?;
    } else {
        skipped.leave_out(
            "building the book",
            "mdbook is not installed; its links and examples are tested without it",
        );
    }
    // Last, since its closing lines count the tests.
    let tests = if output(Command::new("cargo").args(["nextest", "--version"])).is_some() {
        [&["nextest", "run"], &workspace[..]].concat()
    } else {
        [&["test"], &workspace[..], &["--all-targets"]].concat()
    };
    // The browser itself says nothing where it is not wanted: what it needs comes from npm.
    let browser = if browses {
        let found = parts.run("browser", || browser::prepare(environment.target()))?;
        found.map_err(|reason| Failure::new(format!("--browser: {reason}")))?
    } else {
        Vec::new()
    };
    parts.run("tests", || run_program(test(&tests).envs(browser)))
}
