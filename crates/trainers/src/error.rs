//! What can go wrong with a training that another program makes.

use std::{io, path::PathBuf};

use lancer_model::ModelError;
use lancer_output::OutputError;
use lancer_prefer::TrainingError;

use crate::settings::Trainer;

/// An error of a training that another program makes.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// A setting that the trainer does not take.
    #[error("{setting}: {reason}")]
    Setting {
        /// The setting, as the recipe has it.
        setting: String,
        /// What is wrong with it, and what it takes.
        reason: String,
    },
    /// The examples could not be prepared.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A model could not be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file of the job could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file or folder of the job could not be used.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The trainer is not installed where it was looked for.
    #[error(
        "{trainer} is not installed for {python}: {reason}. `lancer setup {trainer}` installs it in an environment of its own; or name the Python of one that has it with `--python` or the setting `job.python`"
    )]
    NotInstalled {
        /// The trainer.
        trainer: Trainer,
        /// The Python.
        python: String,
        /// Why it was not found.
        reason: String,
    },
    /// The program could not be started.
    #[error("cannot start {program:?}, the first word of: {command}")]
    Start {
        /// The program.
        program: String,
        /// The whole command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A training that an earlier lancer started is still running.
    #[error(
        "the training in {folder} is still running as process {process}, which an earlier lancer started; wait until it has ended, or end it, and start again"
    )]
    Running {
        /// The job's folder.
        folder: PathBuf,
        /// The process.
        process: u32,
    },
    /// The program ended without success.
    #[error(
        "{trainer} failed ({status}). The same command begins again from its last checkpoint. The whole log is in {log}; its last lines:\n{last_lines}"
    )]
    Failed {
        /// The trainer.
        trainer: Trainer,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of the log.
        last_lines: String,
    },
    /// What the program wrote is no trained form of the model.
    #[error("{trainer} ended, but the model that it wrote to {path} is not taken over: {reason}")]
    Refused {
        /// The trainer.
        trainer: Trainer,
        /// Where it wrote.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl TrainerError {
    pub(crate) fn setting(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting { setting: setting.into(), reason: reason.into() }
    }

    /// For `map_err` on what the system returns.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
