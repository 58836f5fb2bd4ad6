//! The loop: a recipe, a ledger, and the stages between them.
//!
//! * [`Recipe`] holds every number that decides the outcome of a run; it is what `run.toml` holds.
//! * [`Run`] is a folder with a recipe and a [`ledger`]. [`Run::execute`] takes it through every stage that is left:
//!   review, generate, clean, review, annotate, fine-tune, preference, evaluate, merge, and again.
//! * [`Engines`] brings the engines, [`Progress`] watches. The loop names no engine and prints nothing.
//! * [`trials`] are several runs side by side: recipes of the literature, or one recipe under several seeds.
//! * [`Summary`] is what a run has come to, [`write_report`] shows it as one HTML page, [`view`] answers what a person asks of
//!   a run: which records, where from, trained on when.
//!
//! Every sample, review, verdict, pair, training step and evaluation item is a row of the ledger with a key made from what
//! caused it. A run that is killed at any moment goes on where it was, and ends with the rows of a run that was never
//! stopped.

mod base;
mod budget;
pub mod check;
mod comparison;
mod engines;
mod error;
mod export;
mod files;
mod identity;
mod inputs;
mod laps;
pub mod ledger;
mod leftovers;
pub mod models;
mod progress;
mod recipe;
mod report;
mod run;
mod stage;
mod stages;
mod stopping;
pub mod summary;
mod track;
pub mod trials;
pub mod view;

pub use base::training_base;
pub use comparison::between;
pub use engines::{
    Engines, RunnableModels, TrainElsewhereError, TrainedElsewhere, TrainerSettings, TrainingPlace,
    TrainingTask, WritableModel,
};
pub use error::EvolveError;
pub use inputs::Change;
pub use progress::Progress;
pub use recipe::{
    Ablation, EvaluateSettings, ExpandSettings, Expansion, Gate, Joining, MergeSettings, Method, PoolRule,
    PoolScores, PreferenceSettings, Recipe, ServerSettings, SftIterations, SftSettings, Stop, SystemPrompts,
    nearest, schema as settings_schema, with_changes,
};
pub use report::{report_place, write_report, write_report_to};
pub use run::{Part, Reached, Run};
pub use stage::Stage;
pub use summary::Summary;
pub use track::{TrackFormat, Tracked, Tracker};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
