//! What can go wrong in a run.

use std::{io, path::PathBuf};

use lancer_backend::{BackendError, LearnerError};
use lancer_data::DataError;
use lancer_eval::EvalError;
use lancer_generate::GenerateError;
use lancer_model::ModelError;
use lancer_output::OutputError;
use lancer_prefer::TrainingError;
use lancer_review::ReviewError;

use crate::{inputs::Change, ledger::InputKind, stage::Stage};

/// An error of a run. What was in the ledger stays there: the same command goes on from it.
#[derive(Debug, thiserror::Error)]
pub enum EvolveError {
    /// A part of the recipe cannot be left out.
    #[error("the recipe without {part}: {reason}")]
    Ablation {
        /// The part.
        part: crate::recipe::Ablation,
        /// Why.
        reason: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file or folder cannot be written where it should be.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The folder for a run holds what a run would replace.
    #[error(
        "the folder {folder} holds {file} and no run.toml; put run.toml back to go on with the run that made it, or give a new folder or an empty one with --run, since a new run would replace {file}"
    )]
    NoRunFolder {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        file: &'static str,
    },
    /// A recipe could not be read.
    #[error("{path}: {reason}")]
    Recipe {
        /// The file, or where else the settings come from.
        path: PathBuf,
        /// What is wrong, with the field and what it may be.
        reason: String,
    },
    /// A setting is out of its range.
    #[error("the setting {field} is {value}; it must be {range}")]
    Setting {
        /// The setting.
        field: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        range: String,
    },
    /// The run was started with other settings.
    #[error(
        "{path} was started with other settings: {differences}; leave them out to go on with the run, or give another folder to start a new one"
    )]
    OtherRecipe {
        /// The run's folder.
        path: PathBuf,
        /// Each setting that differs, as it was and as it is now.
        differences: String,
    },
    /// A file that the run reads is not what it was when the run was started.
    #[error("{path} ({}) {change}; {used}; {}, or start a new run in another folder", .kind.title(), .change.remedy())]
    InputChanged {
        /// The file.
        path: PathBuf,
        /// What it is to the run.
        kind: InputKind,
        /// How it differs.
        change: Box<Change>,
        /// Which stages have used it, in words.
        used: String,
    },
    /// A model that the run has written is not there any more.
    #[error(
        "{path}, which this run has written and goes on from, is missing; put it back, or start a new run in another folder"
    )]
    ModelMissing {
        /// The model.
        path: PathBuf,
    },
    /// A model that the run has written is another one now.
    #[error(
        "{path} is not the model that this run has written: its SHA-256 is {found}, and was {expected}; put it back, or {remedy}"
    )]
    ModelChanged {
        /// The model.
        path: PathBuf,
        /// Its hash when it was written.
        expected: String,
        /// Its hash now.
        found: String,
        /// What else can be done.
        remedy: &'static str,
    },
    /// There are models or exports, but not the ledger of the run that made them.
    #[error(
        "{made} holds what an earlier run has made, but the ledger of that run is not at {ledger}; put the ledger back to go on with the run, or give another folder to start a new one"
    )]
    LedgerGone {
        /// Where the ledger would be.
        ledger: PathBuf,
        /// The folder of models or of exports.
        made: PathBuf,
    },
    /// A ledger lies beside what another run has made.
    #[error(
        "{ledger} belongs to the run {id}, but {place} says {found}; put together what belongs together, or give another folder to start a new run"
    )]
    OtherRun {
        /// The ledger.
        ledger: PathBuf,
        /// The run that it belongs to.
        id: String,
        /// The file with the other name.
        place: PathBuf,
        /// The other name.
        found: String,
    },
    /// Another process has the run open.
    #[error("another process is working on this run (it holds {path}); wait until it has ended, or stop it")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The ledger could not be read or written.
    #[error("cannot {action} the ledger {path}")]
    Ledger {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
    /// The ledger does not hold what was written to it.
    #[error("the ledger {path} is damaged: {found}. {advice}")]
    LedgerDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// How to go on.
        advice: String,
    },
    /// The ledger has tables of a newer lancer.
    #[error(
        "a newer lancer made the ledger {path}: it has version {found}, and this one knows versions up to {newest}; use that one, or a newer one"
    )]
    LedgerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known.
        newest: i64,
    },
    /// A ledger of an older version could not be brought up to this one.
    #[error("cannot bring the ledger {path} from version {from} to {to}; it is as it was")]
    Migration {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        from: i64,
        /// The version that it should have.
        to: i64,
        /// Why.
        source: rusqlite::Error,
    },
    /// A person's judgement makes no sense.
    #[error("the judgement of {key}: {reason}")]
    Judgement {
        /// What is judged.
        key: String,
        /// What is wrong, and what it may be.
        reason: String,
    },
    /// A query could not be answered.
    #[error("the query: {reason}")]
    Query {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no seed to start from.
    #[error(
        "{path} holds no usable pair of a prompt and a response ({rejects} lines were rejected: {first})"
    )]
    NoSeeds {
        /// The file.
        path: PathBuf,
        /// Number of rejected lines.
        rejects: usize,
        /// Why the first of them was.
        first: String,
    },
    /// A model's files could not be read.
    #[error("the model's files")]
    Model(#[from] ModelError),
    /// Data could not be read or written.
    #[error("data")]
    Data(#[from] DataError),
    /// The engine could not be loaded.
    #[error("the engine that runs the model")]
    Backend(#[from] BackendError),
    /// The training engine could not be loaded or could not write its model.
    #[error("the engine that trains the model")]
    Learner(#[from] LearnerError),
    /// A model could not be written in another form.
    #[error("cannot write the model {from} as {to}")]
    Import {
        /// The model.
        from: PathBuf,
        /// Where it should go.
        to: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An engine ended without an answer to all that it was asked.
    #[error("the engine gave {given} of {asked} answers in iteration {iteration}, stage {stage}")]
    Unanswered {
        /// The iteration.
        iteration: u32,
        /// The stage.
        stage: Stage,
        /// Answers that it gave.
        given: usize,
        /// Answers that it was asked for.
        asked: usize,
    },
    /// A review failed.
    #[error("the review")]
    Review(#[from] ReviewError),
    /// Generation failed.
    #[error("generation")]
    Generate(#[from] GenerateError),
    /// Evaluation failed.
    #[error("evaluation")]
    Eval(#[from] EvalError),
    /// Training failed.
    #[error("training")]
    Training(#[from] TrainingError),
    /// Another program that trains failed, or its model is not taken over.
    #[error("the program that trains in iteration {iteration}, stage {stage}")]
    Elsewhere {
        /// The iteration.
        iteration: u32,
        /// The stage.
        stage: Stage,
        /// What it failed with.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A model that was trained elsewhere cannot be brought.
    #[error("the model {model} is not brought into the run: {reason}")]
    Brought {
        /// The model.
        model: PathBuf,
        /// Why.
        reason: String,
    },
    /// The run was interrupted; the same command goes on from here.
    #[error("interrupted in iteration {iteration}, stage {stage}; the same command goes on from here")]
    Interrupted {
        /// The iteration.
        iteration: u32,
        /// The stage.
        stage: Stage,
    },
}

impl EvolveError {
    /// Whether it says that the content of a file that the run reads cannot be used.
    pub(crate) fn blames_an_input(&self) -> bool {
        use DataError::{Changed, Hub, Read, Write};
        match self {
            Self::NoSeeds { .. } | Self::Recipe { .. } => true,
            Self::Data(error) => !matches!(error, Read { .. } | Write { .. } | Changed { .. } | Hub { .. }),
            Self::Eval(error) => !matches!(error, EvalError::Read { .. }),
            _ => false,
        }
    }
}
