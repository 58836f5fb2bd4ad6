//! `cargo xtask setup`: the tools that engines in C++ are built with, the library that ONNX models run on, and the
//! environment that points to them.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    model, onnxruntime,
    process::{Failure, output, run as run_program},
};

/// Where C++ compilers look for headers before their own.
const HEADERS: &str = "CPLUS_INCLUDE_PATH";
/// The headers that `.cargo/config.toml` names there.
const OWN_HEADERS: &str = "crates/llama-cpp/include";

/// What is built, checked and tested: with what only other programs than lancer use, and the graphics card that a driver in
/// software can stand for. With other features, Polars and Burn would be compiled once more.
pub(crate) const WORKSPACE: [&str; 4] =
    ["--release", "--workspace", "--features", "lancer-data/lazy,lancer/burn-wgpu,lancer/onnx-webgpu"];
/// The same where no Vulkan driver is there to test Burn's wgpu device with.
pub(crate) const WORKSPACE_WITHOUT_WGPU: [&str; 4] =
    ["--release", "--workspace", "--features", "lancer-data/lazy,lancer/onnx-webgpu"];

/// What cargo is called with so that everything can be built.
pub(crate) struct Environment {
    target: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl Environment {
    /// Gets what is missing into the target folder.
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let target = target_folder();
        let tools = target.join("tools");
        fs::create_dir_all(&tools)
            .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", tools.display())))?;
        let mut variables = vec![("CARGO_TARGET_DIR", target.clone().into_os_string())];
        if env::var_os("CMAKE").is_none() && output(Command::new("cmake").arg("--version")).is_none() {
            let cmake = tools.join("cmake/data/bin/cmake");
            get(&tools, "cmake", &cmake)?;
            variables.push(("CMAKE", cmake.into_os_string()));
        }
        if env::var_os("LIBCLANG_PATH").is_none() {
            let folder = tools.join("clang/native");
            get(&tools, "libclang", &folder)?;
            variables.push(("LIBCLANG_PATH", folder.into_os_string()));
            // PyPI's libclang lacks the compiler's own headers (stddef.h and its like).
            if let Some(headers) = output(Command::new("cc").arg("-print-file-name=include")) {
                variables.push(("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{headers}").into()));
            }
        }
        let named = env::var_os(HEADERS);
        if named.is_none_or(|named| Path::new(&named) == root().join(OWN_HEADERS)) {
            variables.push((HEADERS, headers(&tools)?.into_os_string()));
        }
        if env::var_os(onnxruntime::VARIABLE).is_none() {
            let library = onnxruntime::fetch(&target)?;
            variables.extend(library.map(|library| (onnxruntime::VARIABLE, library.into_os_string())));
        }
        Ok(Self { target, variables })
    }

    /// A cargo command in this environment.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).envs(self.variables.iter().cloned());
        for (name, _) in env::vars_os().filter(|(name, _)| is_of_package(name)) {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Adds variables for what is run in this environment.
    pub(crate) fn add(&mut self, variables: Vec<(&'static str, OsString)>) {
        self.variables.extend(variables);
    }

    /// A cmake command in this environment.
    pub(crate) fn cmake(&self) -> Command {
        let ours = self.variables.iter().find(|(name, _)| *name == "CMAKE").map(|(_, path)| path.clone());
        Command::new(ours.or_else(|| env::var_os("CMAKE")).unwrap_or_else(|| "cmake".into()))
    }

    /// Another program in this environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.variables.iter().cloned());
        command
    }

    /// Where build outputs go.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }
}

/// `cargo xtask setup`. What it prints is for a shell: `eval "$(cargo xtask setup)"` lets plain `cargo` build everything.
pub(crate) fn run() -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let model = model::fetch(environment.target())?;
    println!("# default model: {}", model.display());
    for (name, value) in &environment.variables {
        println!("export {name}='{}'", value.to_string_lossy());
    }
    Ok(())
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The user's cache folder for lancer.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("lancer"))
}

/// `CARGO_TARGET_DIR`; in CI a cache folder, so that a new checkout builds on the last one's outputs; else `target`.
pub(crate) fn target_folder() -> PathBuf {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return root().join(folder);
    }
    match cache_folder() {
        Some(cache) if env::var_os("CI").is_some_and(|ci| ci == "true") => {
            cache.join(format!("target-{}", processor()))
        }
        _ => root().join("target"),
    }
}

/// A name for what this processor can do: outputs are built for it, and a cache may move to another machine.
fn processor() -> String {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let features = output(rustc.args(["--print", "cfg", "-C", "target-cpu=native"])).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    features.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Whether cargo says something of this package by a variable of such a name. Build scripts that ask for it would run again under
/// a cargo that is called from here, and half of all crates are built after them.
fn is_of_package(variable: &OsStr) -> bool {
    let name = variable.as_encoded_bytes();
    [b"CARGO_MANIFEST_".as_slice(), b"CARGO_PKG_"].iter().any(|beginning| name.starts_with(beginning))
}

/// Copies our headers into `tools`. Build scripts run again where this variable changes, and half of all crates are built
/// after them; checkouts that share a target folder so have one value in common.
fn headers(tools: &Path) -> Result<PathBuf, Failure> {
    let (from, to) = (root().join(OWN_HEADERS), tools.join("include"));
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot copy {} to {}: {error}", from.display(), to.display()))
    };
    fs::create_dir_all(&to).map_err(failed)?;
    for header in fs::read_dir(&from).map_err(failed)? {
        let header = header.map_err(failed)?;
        fs::copy(header.path(), to.join(header.file_name())).map_err(failed)?;
    }
    Ok(to)
}

/// Installs a PyPI package into `tools`, unless `wanted` is already there.
fn get(tools: &Path, package: &str, wanted: &Path) -> Result<(), Failure> {
    if wanted.exists() {
        return Ok(());
    }
    eprintln!("getting {package} from PyPI into {}", tools.display());
    run_program(pip().args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"]).arg(tools).arg(package))
        .map_err(|failure| Failure::new(format!("{failure}; install {package} by hand and set CMAKE or LIBCLANG_PATH to it, or give this machine Python 3 with pip")))?;
    if wanted.exists() {
        Ok(())
    } else {
        Err(Failure::new(format!("the PyPI package {package} does not hold {}", wanted.display())))
    }
}

/// Python's package installer.
pub(crate) fn pip() -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip"]);
    pip
}
