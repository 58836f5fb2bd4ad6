//! What ends a command early, and its exit code.

use std::{error::Error, process::ExitCode};

use lancer_evolve::EvolveError;
use lancer_output::OutputError;

use crate::interrupt;

/// What ended a command early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed: exit code 1.
    Failed(Box<dyn Error>),
    /// What was asked for does not make sense: exit code 2.
    Usage(Box<dyn Error>),
    /// There was to be a gain, and there is none; the text says what to try. Exit code 3.
    NoGain(String),
    /// The user stopped it; the text says what to do to go on. Exit code 130.
    Interrupted(String),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into().into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into().into())
    }

    /// Prints what happened and what caused it, a line each.
    pub(crate) fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Interrupted(text) => {
                errln!("{text}");
                return ExitCode::from(interrupt::EXIT_CODE);
            }
            Self::NoGain(advice) => {
                errln!("no gain (--require-gain). {advice}");
                return ExitCode::from(3);
            }
            Self::Usage(error) => (error, 2),
            Self::Failed(error) => (error, 1),
        };
        errln!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            errln!("  caused by: {error}");
            cause = error.source();
        }
        ExitCode::from(code)
    }
}

impl From<EvolveError> for Failure {
    fn from(error: EvolveError) -> Self {
        match error {
            EvolveError::Interrupted { .. } => Self::Interrupted(error.to_string()),
            EvolveError::Output(error) => error.into(),
            EvolveError::NoRunFolder { .. }
            | EvolveError::Recipe { .. }
            | EvolveError::Setting { .. }
            | EvolveError::Query { .. }
            | EvolveError::Judgement { .. }
            | EvolveError::OtherRecipe { .. } => Self::Usage(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Io { .. }
            | OutputError::NotWritable { .. }
            | OutputError::NoRoom { .. }
            | OutputError::Kept { .. } => Self::Failed(error.into()),
            OutputError::Exists { .. }
            | OutputError::Foreign { .. }
            | OutputError::Changed { .. }
            | OutputError::NotAFile { .. }
            | OutputError::NotAFolder { .. }
            | OutputError::Blocked { .. }
            | OutputError::Input { .. } => Self::Usage(error.into()),
        }
    }
}

/// Errors of the libraries, all of which mean that something failed.
macro_rules! failed {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Failed(error.into())
            }
        })*
    };
}

failed!(
    lancer_backend::BackendError,
    lancer_backend::LearnerError,
    lancer_data::DataError,
    lancer_eval::EvalError,
    lancer_model::ModelError,
    std::io::Error
);
