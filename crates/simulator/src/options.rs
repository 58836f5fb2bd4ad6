//! The command line.

use std::{env, path::PathBuf, thread};

use crate::incident::Trouble;

/// What is asked for.
pub(crate) struct Options {
    /// Number of runs; their seeds follow each other.
    pub(crate) runs: u64,
    /// The first seed.
    pub(crate) seed: u64,
    /// Runs that are made side by side.
    pub(crate) jobs: usize,
    /// The kinds of trouble that are drawn.
    pub(crate) troubles: Vec<Trouble>,
    /// Where runs are made.
    pub(crate) scratch: PathBuf,
    /// The finished binary that is killed in place of the scripted loop.
    pub(crate) binary: Option<PathBuf>,
    /// Whether what each run went through is printed.
    pub(crate) is_loud: bool,
}

impl Options {
    /// Reads the arguments; an error is the usage.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let all = Trouble::ALL.map(|(trouble, _)| trouble).to_vec();
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        // In memory where there is such a folder: the disk would be most of the time.
        let memory = PathBuf::from("/dev/shm");
        let scratch = if memory.is_dir() { memory } else { env::temp_dir() };
        let mut options =
            Self { runs: 300, seed: 0, jobs, troubles: all, scratch, binary: None, is_loud: false };
        let mut left = arguments.iter();
        while let Some(name) = left.next() {
            if name == "--loud" {
                options.is_loud = true;
                continue;
            }
            let value = left.next().ok_or_else(|| usage(&format!("{name} needs a value")))?;
            let number = || value.parse::<u64>().map_err(|_| usage(&format!("{name}: {value} is no number")));
            match name.as_str() {
                "--runs" => options.runs = number()?,
                "--seed" => options.seed = number()?,
                "--jobs" => options.jobs = number()?.max(1) as usize,
                "--only" => options.troubles = troubles(value)?,
                "--without" => {
                    let without = troubles(value)?;
                    options.troubles.retain(|trouble| !without.contains(trouble));
                }
                "--binary" => options.binary = Some(value.into()),
                "--scratch" => options.scratch = value.into(),
                _ => return Err(usage(&format!("there is no option {name}"))),
            }
        }
        if options.troubles.is_empty() {
            return Err(usage("no kind of trouble is left"));
        }
        Ok(options)
    }
}

fn troubles(names: &str) -> Result<Vec<Trouble>, String> {
    let of = |name: &str| Trouble::named(name).ok_or_else(|| usage(&format!("there is no trouble {name}")));
    names.split(',').map(of).collect()
}

fn usage(wrong: &str) -> String {
    let names = Trouble::ALL.map(|(_, name)| name).join(", ");
    format!(
        "error: {wrong}\n\n\
         Usage: cargo xtask torture [--runs N] [--seed S] [--jobs J] [--only KIND,...] [--without KIND,...]\n\
         \x20                          [--scratch FOLDER] [--binary LANCER] [--loud]\n\n\
         Kinds of trouble: {names}\n"
    )
}
