//! The programs of lancer that benchmarks run, built, and the model they run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    model,
    process::{Failure, run as run_program},
    setup::{Environment, WORKSPACE, root},
};

/// What is built, and the default model in the forms that both sides read.
pub(crate) struct Programs {
    folder: PathBuf,
    /// The default model as it is fetched.
    pub(crate) default: PathBuf,
    /// The default model in 16 bits, as a run of lancer uses it.
    pub(crate) gguf: PathBuf,
    /// The same weights as a Hugging Face folder in 32 bits.
    pub(crate) hugging_face: PathBuf,
}

impl Programs {
    /// Builds the binary and the examples, and converts the default model, where that is not done yet.
    pub(crate) fn prepare(environment: &Environment) -> Result<Self, Failure> {
        run_program(environment.cargo().arg("build").args(WORKSPACE).args(["--bins", "--examples"]))?;
        let target = environment.target();
        let folder = target.join("bench");
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        let programs = Self {
            folder: target.join("release"),
            default: model::fetch(target)?,
            gguf: folder.join("default-f16.gguf"),
            hugging_face: folder.join("default"),
        };
        for (to, format) in [(&programs.gguf, "half"), (&programs.hugging_face, "f32")] {
            programs.convert(to, &["--format", format])?;
        }
        Ok(programs)
    }

    /// Writes the default model as `lancer convert` does with these options, where it is not there yet.
    pub(crate) fn convert(&self, to: &Path, options: &[&str]) -> Result<(), Failure> {
        if to.exists() {
            return Ok(());
        }
        run_program(self.lancer().arg("convert").arg(&self.default).arg(to).args(options))
    }

    /// The binary.
    pub(crate) fn lancer(&self) -> Command {
        Command::new(self.folder.join("lancer"))
    }

    /// A measuring example.
    pub(crate) fn example(&self, name: &str) -> Command {
        Command::new(self.example_path(name))
    }

    /// A measuring example's file.
    pub(crate) fn example_path(&self, name: &str) -> PathBuf {
        self.folder.join("examples").join(name)
    }
}

/// A file of `xtask/rivals`.
pub(crate) fn rival(script: &str) -> PathBuf {
    root().join("xtask/rivals").join(script)
}

/// A place for files of a benchmark.
pub(crate) fn scratch(environment: &Environment, name: &str) -> PathBuf {
    environment.target().join("bench").join(name)
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

/// Writes lines of JSON.
pub(crate) fn write_lines(path: &Path, lines: &[serde_json::Value]) -> Result<(), Failure> {
    let text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    write(path, &(text + "\n"))
}

/// Reads lines of JSON.
pub(crate) fn read_lines(path: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let failed = |error: String| Failure::new(format!("cannot read {}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| failed(error.to_string()))).collect()
}
