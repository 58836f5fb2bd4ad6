//! `lancer setup`: Python environments for programs that train elsewhere.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, ValueEnum};
use lancer_trainers::Trainer;

use crate::{engines::trainers, failure::Failure};

/// Install a program that trains, in a Python environment of its own: what is run is printed first.
///
/// The environment is in the folder `trainers` of lancer's cache folder, where `lancer evolve` and `lancer train` look for it;
/// remove that folder to undo it. It takes several gigabytes, most of them for PyTorch.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The program.
    trainer: Name,
    /// The Python that makes the environment.
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Print what would be run, and run nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// TRL, with the versions that lancer's tests were run with.
    Trl,
    /// LLaMA-Factory.
    LlamaFactory,
    /// Axolotl; it needs Python 3.12.
    Axolotl,
}

impl Name {
    fn trainer(self) -> Trainer {
        match self {
            Self::Trl => Trainer::Trl,
            Self::LlamaFactory => Trainer::LlamaFactory,
            Self::Axolotl => Trainer::Axolotl,
        }
    }

    /// What pip is asked for.
    fn requirements(self) -> &'static [&'static str] {
        match self {
            Self::Trl => &[
                "trl==1.16.0",
                "transformers==5.24.0",
                "peft==0.21.2",
                "accelerate==1.15.0",
                "datasets==5.2.0",
            ],
            Self::LlamaFactory => &["llamafactory==0.9.5"],
            Self::Axolotl => &["axolotl==0.21.0"],
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { trainer, python, dry_run } = arguments;
    let folder = trainers::environment(trainer.trainer()).ok_or_else(|| {
        Failure::usage("there is no cache folder: set LANCER_CACHE to one, in which the environment is made")
    })?;
    let inside = trainers::python_of(&folder);
    let folder = folder.display().to_string();
    let mut steps = Vec::new();
    if !inside.exists() {
        steps.push((python.as_path(), vec!["-m", "venv", &folder]));
    }
    let mut install = vec!["-m", "pip", "install"];
    install.extend(trainer.requirements());
    steps.push((inside.as_path(), install));
    for (program, words) in steps {
        outln!("{} {}", program.display(), words.join(" "));
        if !dry_run {
            call(program, &words)?;
        }
    }
    if !dry_run {
        outln!("{}: installed; `--trainer {}` finds it", inside.display(), trainer.trainer());
    }
    Ok(())
}

fn call(program: &Path, words: &[&str]) -> Result<(), Failure> {
    let status = Command::new(program).args(words).status().map_err(|error| {
        Failure::failed(format!("cannot run {}: {error}; name a Python with --python", program.display()))
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} {} failed ({status})", program.display(), words.join(" "))))
}
