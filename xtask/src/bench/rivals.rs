//! What lancer is measured against: a Python environment with other tools, and llama.cpp's own programs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{Failure, run as run_program},
    setup::{Environment, pip, root},
};

/// llama.cpp's sources are the ones in this source distribution on PyPI, package llama-cpp-python.
const LLAMA_CPP_PYTHON: &str = "0.3.36";

/// How llama.cpp is built: for this machine and without OpenMP, as lancer builds it.
const LLAMA_CPP_OPTIONS: [&str; 8] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DGGML_OPENMP=OFF",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
];

/// Python with the packages of `xtask/rivals/requirements.txt`: `RIVALS_PYTHON`, or an environment made in the target
/// folder.
pub(crate) fn python(environment: &Environment) -> Result<PathBuf, Failure> {
    if let Some(python) = env::var_os("RIVALS_PYTHON") {
        return Ok(python.into());
    }
    let folder = environment.target().join("rivals/python");
    let python = folder.join("bin/python");
    let ready = folder.join("requirements.txt");
    let wanted = root().join("xtask/rivals/requirements.txt");
    if fs::read(&ready).ok() != fs::read(&wanted).ok() {
        run_program(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run_program(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&wanted))?;
        fs::copy(&wanted, &ready)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", ready.display())))?;
    }
    Ok(python)
}

/// The folder of `llama-server` and `llama-batched-bench`: `RIVALS_LLAMA_CPP`, or a build in the target folder, which
/// takes some five minutes.
pub(crate) fn llama_cpp(environment: &Environment) -> Result<PathBuf, Failure> {
    if let Some(folder) = env::var_os("RIVALS_LLAMA_CPP") {
        return Ok(folder.into());
    }
    let folder = environment.target().join("rivals/llama.cpp");
    let programs = folder.join("bin");
    if programs.join("llama-server").exists() {
        return Ok(programs);
    }
    let sources = sources(&folder)?;
    run_program(environment.cmake().arg("-S").arg(sources).arg("-B").arg(&folder).args(LLAMA_CPP_OPTIONS))?;
    for target in ["llama-batched-bench", "llama-server"] {
        run_program(environment.cmake().arg("--build").arg(&folder).args([
            "--parallel",
            "2",
            "--target",
            target,
        ]))?;
    }
    Ok(programs)
}

/// Fetches and unpacks llama.cpp's sources.
fn sources(folder: &Path) -> Result<PathBuf, Failure> {
    let name = format!("llama_cpp_python-{LLAMA_CPP_PYTHON}");
    run_program(
        pip()
            .args(["download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python", "--dest"])
            .arg(folder)
            .arg(format!("llama-cpp-python=={LLAMA_CPP_PYTHON}")),
    )?;
    let archive = folder.join(format!("{name}.tar.gz"));
    run_program(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder))?;
    Ok(folder.join(name).join("vendor/llama.cpp"))
}
