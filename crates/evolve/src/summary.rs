//! What a run did, in numbers: what `--json` prints, and the tables and the report show.

mod evaluation;
mod funnel;
#[cfg(test)]
pub(crate) mod hand_filled;
mod kept;
mod notation;
mod scores;
mod sentence;
mod stages;
#[cfg(test)]
mod tests;
mod training;
mod verdict;

use std::path::{Path, PathBuf};

use lancer_eval::Estimate;
use lancer_review::Separation;
use serde::Serialize;

pub(crate) use self::verdict::USEFUL_AUC;
pub use self::{
    evaluation::{TaskEstimate, TaskSummary},
    funnel::{
        AnnotateCounts, AtLeast, CleanCounts, Counts, Funnel, FunnelRow, GenerateCounts, PoolCounts,
        ReviewCounts, WrittenCounts,
    },
    kept::KeptModel,
    notation::Notation,
    scores::{ScoreStatistics, Scores},
    stages::StageSummary,
    training::{StartEnd, TrainingSummary},
    verdict::Outcome,
};
use crate::{
    budget,
    error::EvolveError,
    ledger::{Ledger, Phase, Rejection},
    models,
    recipe::Recipe,
    stage::Stage,
};

/// What a run did, from its ledger alone; a run that was interrupted has one too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The run's folder.
    pub folder: PathBuf,
    /// Seeds that were read.
    pub seeds: usize,
    /// Lines of the files of seeds that were not usable, by reason.
    pub rejected: Counts,
    /// What came before the first iteration: the import of model and seeds, and the evaluation of `M_0`.
    pub before: Vec<StageSummary>,
    /// The confidence of all intervals, 0 to 1.
    pub confidence: f64,
    /// `M_0` on each task.
    pub baseline: Vec<TaskEstimate>,
    /// Number of iterations that the run is to have; fewer than its recipe says where its budget of tokens ended it.
    pub planned: u32,
    /// The model that the run has come to.
    pub kept: KeptModel,
    /// Each iteration that has begun.
    pub iterations: Vec<IterationSummary>,
    /// Wall-clock seconds of all stages together.
    pub seconds: f64,
}

/// What an iteration did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IterationSummary {
    /// Its number, from 1.
    pub iteration: u32,
    /// The number of the model that it started from.
    pub started_from: u32,
    /// The first stage that is not finished; `None` where the iteration is whole.
    pub unfinished: Option<Stage>,
    /// Why the gate rejected the model, and which is kept instead; `None` where it did not.
    pub rejected: Option<Rejection>,
    /// Whether the model is better than `M_0`, taking all tasks together.
    pub outcome: Outcome,
    /// The mean gain over all tasks, in standard deviations of the items' values; see `lancer_eval::overall_gain`.
    pub gain: Option<Estimate>,
    /// The outcome in a sentence: on which tasks, by how much, with what certainty.
    pub conclusion: String,
    /// What to try next, in a sentence.
    pub advice: String,
    /// Records in and out of each stage.
    pub funnel: Funnel,
    /// How well each mode of review tells seeds from damaged seeds.
    pub separations: Vec<Separation>,
    /// The scores of the pool and of what is new.
    pub scores: Scores,
    /// Fine-tuning.
    pub sft: Option<TrainingSummary>,
    /// Preference optimisation.
    pub preference: Option<TrainingSummary>,
    /// The iteration's model against `M_0` on each task.
    pub tasks: Vec<TaskSummary>,
    /// Time and tokens of each stage that was begun, in their order.
    pub stages: Vec<StageSummary>,
    /// What it left behind.
    pub files: IterationFiles,
}

/// Where an iteration's model and exports are; `None` where they do not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IterationFiles {
    /// The model as a Hugging Face folder.
    pub model: Option<PathBuf>,
    /// The model as a GGUF file.
    pub gguf: Option<PathBuf>,
    /// The folder of exported training data.
    pub exports: Option<PathBuf>,
}

impl Summary {
    /// The summary of a run so far.
    ///
    /// # Errors
    /// What reading the ledger gives.
    pub fn of(ledger: &Ledger, folder: &Path) -> Result<Self, EvolveError> {
        let timings = ledger.timings()?;
        let recipe = recipe(ledger)?;
        let bootstrap = &recipe.evaluate.bootstrap;
        let mut iterations = Vec::new();
        for iteration in 1.. {
            let stages = stages::of_iteration(ledger, &timings, iteration)?;
            if stages.is_empty() && ledger.reviews(iteration)?.is_empty() {
                break;
            }
            iterations.push(IterationSummary::of(ledger, folder, &recipe, iteration, stages)?);
        }
        Ok(Self {
            folder: folder.into(),
            seeds: ledger.origins(0)?.len(),
            rejected: funnel::count(ledger.rejects()?.into_iter().map(|reject| reject.reason)),
            before: stages::before(ledger, &timings)?,
            confidence: bootstrap.confidence,
            baseline: evaluation::estimates(ledger, 0, bootstrap)?,
            planned: budget::last_iteration(ledger)?.unwrap_or(recipe.iterations),
            kept: KeptModel::of(ledger, &iterations)?,
            iterations,
            seconds: timings.iter().map(|timing| timing.seconds).sum(),
        })
    }

    /// Whether every iteration that was planned is whole.
    pub fn is_whole(&self) -> bool {
        let finished = self.iterations.iter().filter(|iteration| iteration.unfinished.is_none());
        finished.count() >= self.planned as usize
    }
}

impl IterationSummary {
    fn of(
        ledger: &Ledger,
        folder: &Path,
        recipe: &Recipe,
        iteration: u32,
        stages: Vec<StageSummary>,
    ) -> Result<Self, EvolveError> {
        let bootstrap = &recipe.evaluate.bootstrap;
        let loss = &recipe.preference.loss;
        let (tasks, gain) = evaluation::against_first(ledger, iteration, bootstrap)?;
        let unfinished = stages::unfinished(ledger, iteration)?;
        let is_evaluated = unfinished.is_none_or(|stage| stage > Stage::Evaluate);
        let gain = gain.filter(|_| is_evaluated);
        let outcome = Outcome::of(gain.as_ref(), &tasks);
        let rejected = ledger.rejection(iteration)?;
        let calibration = ledger.calibration(iteration)?;
        let separations = calibration.map(|calibration| calibration.separations).unwrap_or_default();
        Ok(Self {
            iteration,
            started_from: ledger.start(iteration)?,
            unfinished,
            outcome,
            gain,
            conclusion: sentence::conclusion(
                iteration,
                unfinished,
                (outcome, gain.as_ref()),
                &tasks,
                bootstrap.confidence,
            ) + &rejected.as_ref().map(sentence::rejection).unwrap_or_default(),
            rejected,
            advice: outcome.advice(&tasks, &separations),
            funnel: Funnel::of(ledger, recipe, iteration)?,
            separations,
            scores: Scores::of(ledger, iteration)?,
            sft: TrainingSummary::of(ledger, iteration, Phase::Sft, loss)?,
            preference: TrainingSummary::of(ledger, iteration, Phase::Preference, loss)?,
            tasks,
            stages,
            files: IterationFiles::of(folder, iteration),
        })
    }
}

impl IterationSummary {
    /// The rows of the funnel up to the first stage that is not finished.
    pub fn funnel_rows(&self) -> Vec<FunnelRow> {
        let mut rows = self.funnel.rows();
        rows.retain(|row| self.unfinished.is_none_or(|unfinished| row.stage <= unfinished));
        rows
    }
}

impl IterationFiles {
    fn of(folder: &Path, iteration: u32) -> Self {
        let existing = |path: PathBuf| Some(path).filter(|path| path.exists());
        Self {
            model: existing(models::trainable(folder, iteration)),
            gguf: existing(models::gguf(folder, iteration)),
            exports: existing(models::export(folder, iteration)),
        }
    }
}

/// The recipe that the ledger remembers; the default where it does not.
pub(crate) fn recipe(ledger: &Ledger) -> Result<Recipe, EvolveError> {
    Ok(ledger.meta("recipe")?.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default())
}
