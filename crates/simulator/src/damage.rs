//! What is done to the files of a run or to its inputs between two lives.

use std::{fmt, fs, io, path::Path};

use crate::{
    folder::Files,
    world::{MODEL, SEEDS, TASK, TASK_DATA},
};

/// An input that somebody changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Seeds,
    Model,
    Task,
    TaskData,
}

impl Input {
    fn file(self) -> &'static str {
        match self {
            Self::Seeds => SEEDS,
            Self::Model => MODEL,
            Self::Task => TASK,
            Self::TaskData => TASK_DATA,
        }
    }
}

/// What is done to files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Damage {
    /// An input is another one.
    Changed(Input),
    /// A bit of a file is another one.
    Flipped {
        /// What the file's path contains.
        within: &'static str,
        /// Which of these files.
        which: u64,
        /// Which of its bytes.
        place: u64,
        /// Which bit of the byte.
        bit: u8,
    },
    /// A file is gone.
    Lost {
        /// What the file's path contains.
        within: &'static str,
        /// Which of these files.
        which: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(input) => write!(f, "{} is changed", input.file()),
            Self::Flipped { within, which, place, bit } => {
                write!(
                    f,
                    "bit {bit} of byte {place} (modulo its length) of file {which} (modulo their number) of {within}* is another"
                )
            }
            Self::Lost { within, which } => {
                write!(f, "file {which} (modulo their number) of {within}* is gone")
            }
        }
    }
}

impl Damage {
    /// Does it to the files of the folder of the run or of the inputs; the name of the file. `None` where there is no such
    /// file.
    pub(crate) fn apply(&self, run: &Path, inputs: &Path, files: &Files) -> io::Result<Option<String>> {
        let chosen = |within: &str, which: u64| {
            // What belongs to the memory of processes that are gone is nobody's loss.
            let is_kept = |name: &&String| {
                name.contains(within) && !name.ends_with("-shm") && !name.contains("unfinished")
            };
            let names: Vec<&String> = files
                .iter()
                .filter(|(name, bytes)| is_kept(name) && !bytes.is_empty())
                .map(|(name, _)| name)
                .collect();
            let place = which.checked_rem(names.len() as u64)?;
            names.get(place as usize).map(|name| (*name).clone())
        };
        match self {
            Self::Changed(input) => {
                change(&inputs.join(input.file()), *input)?;
                Ok(Some(input.file().into()))
            }
            Self::Flipped { within, which, place, bit } => {
                let Some(name) = chosen(within, *which) else { return Ok(None) };
                let mut bytes = files[&name].clone();
                let place = (place % bytes.len() as u64) as usize;
                bytes[place] ^= 1 << bit;
                fs::write(run.join(&name), bytes)?;
                Ok(Some(name))
            }
            Self::Lost { within, which } => {
                let Some(name) = chosen(within, *which) else { return Ok(None) };
                fs::remove_file(run.join(&name))?;
                Ok(Some(name))
            }
        }
    }
}

/// Changes an input so that it can still be read, as somebody does who edits it.
fn change(path: &Path, input: Input) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    match input {
        Input::Seeds | Input::TaskData => {
            bytes = String::from_utf8_lossy(&bytes).replacen("Paris", "Lyons", 1).into_bytes();
        }
        Input::Task => {
            bytes = String::from_utf8_lossy(&bytes).replacen("{{ prompt }}", "{{ prompt }} ", 1).into_bytes();
        }
        Input::Model => {
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
            }
        }
    }
    fs::write(path, bytes)
}
