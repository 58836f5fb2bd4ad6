//! The binary as a Python package, made by maturin.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Build, failed};
use crate::{
    process::{Failure, output, run},
    setup::{Environment, root},
};

const MATURIN: &str = "maturin==1.16.0";

/// Makes the wheel in `folder`.
pub(super) fn make(environment: &Environment, build: &Build, folder: &Path) -> Result<PathBuf, Failure> {
    let tools = environment.target().join("tools/maturin");
    let maturin = program(&tools, "maturin");
    if !maturin.exists() {
        virtual_environment(&tools)?;
        run(pip(&tools).args(["install", "--quiet", "--disable-pip-version-check", MATURIN]))?;
    }
    let fresh = folder.join("wheel");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|error| failed("empty", &fresh, &error))?;
    }
    let mut command = environment.command(&maturin);
    command.current_dir(root()).args(["build", "--release", "--out"]).arg(&fresh);
    command.envs(build.variables.iter().cloned());
    if build.is_given {
        command.env("CARGO", stand_in(environment, build)?);
    }
    run(&mut command)?;
    let made = fs::read_dir(&fresh).map_err(|error| failed("read", &fresh, &error))?;
    let made = made
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    let made = made.ok_or_else(|| Failure::new(format!("maturin left no wheel in {}", fresh.display())))?;
    let wheel = folder.join(made.file_name().unwrap_or_default());
    fs::rename(&made, &wheel).map_err(|error| failed("write", &wheel, &error))?;
    fs::remove_dir_all(&fresh).map_err(|error| failed("remove", &fresh, &error))?;
    Ok(wheel)
}

/// Installs the wheel in an empty virtual environment, without a network, and asks the program there for its version.
pub(super) fn check(environment: &Environment, build: &Build, wheel: &Path) -> Result<(), Failure> {
    let folder = environment.target().join("dist/try");
    virtual_environment(&folder)?;
    run(pip(&folder)
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-index", "--force-reinstall"])
        .arg(wheel))?;
    let lancer = program(&folder, "lancer");
    let said = output(Command::new(&lancer).arg("--version"));
    if said.as_deref() == Some(&format!("lancer {}", build.version)) {
        fs::remove_dir_all(&folder).map_err(|error| failed("remove", &folder, &error))
    } else {
        Err(Failure::new(format!("{} --version gives {said:?}, not {}", lancer.display(), build.version)))
    }
}

/// A program that maturin takes for cargo, and that says of the binary that it was just built.
fn stand_in(environment: &Environment, build: &Build) -> Result<PathBuf, Failure> {
    let metadata = output(environment.cargo().args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Option<Value> = metadata.and_then(|text| serde_json::from_str(&text).ok());
    let named =
        |values: &Value, name: &str| values.as_array()?.iter().find(|value| value["name"] == name).cloned();
    let package = metadata.and_then(|metadata| named(&metadata["packages"], "lancer"));
    let package = package.ok_or_else(|| Failure::new("`cargo metadata` does not know lancer"))?;
    let message = json!({
        "reason": "compiler-artifact",
        "package_id": package["id"],
        "manifest_path": package["manifest_path"],
        "target": named(&package["targets"], "lancer"),
        "profile": {
            "opt_level": "3", "debuginfo": 0, "debug_assertions": false, "overflow_checks": false, "test": false,
        },
        "features": [],
        "filenames": [build.binary],
        "executable": build.binary,
        "fresh": true,
    });
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = rustc ] || [ \"$1\" = build ]; then\n  echo '{}'\nelse\n  exec '{}' \"$@\"\nfi\n",
        message.to_string().replace('\'', "'\\''"),
        cargo.display()
    );
    let file = environment.target().join("tools/cargo-of-prebuilt");
    fs::write(&file, script).map_err(|error| failed("write", &file, &error))?;
    run(Command::new("chmod").arg("+x").arg(&file))?;
    Ok(file)
}

/// Makes an empty virtual environment of Python.
fn virtual_environment(folder: &Path) -> Result<(), Failure> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
}

fn pip(environment: &Path) -> Command {
    Command::new(program(environment, "pip"))
}

/// A program of a virtual environment.
fn program(environment: &Path, name: &str) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    environment.join(folder).join(format!("{name}{}", env::consts::EXE_SUFFIX))
}
