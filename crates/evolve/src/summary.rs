//! What a run did, in numbers: what `--json` prints, and the tables and the report show.

mod evaluation;
mod funnel;
#[cfg(test)]
pub(crate) mod hand_filled;
mod notation;
mod scores;
mod sentence;
mod stages;
mod training;

use std::path::{Path, PathBuf};

use lancer_review::Separation;
use serde::Serialize;

pub use self::{
    evaluation::{TaskEstimate, TaskSummary},
    funnel::{
        AnnotateCounts, AtLeast, CleanCounts, Counts, Funnel, FunnelRow, GenerateCounts, PoolCounts,
        ReviewCounts, WrittenCounts,
    },
    notation::Notation,
    scores::{ScoreStatistics, Scores},
    stages::StageSummary,
    training::{StartEnd, TrainingSummary},
};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Phase},
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
    /// Lines of the seed file that were not usable, by reason.
    pub rejected: Counts,
    /// What came before the first iteration: the import of model and seeds, and the evaluation of `M_0`.
    pub before: Vec<StageSummary>,
    /// The confidence of all intervals, 0 to 1.
    pub confidence: f64,
    /// `M_0` on each task.
    pub baseline: Vec<TaskEstimate>,
    /// Number of iterations that the run is to have.
    pub planned: u32,
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
    /// Whether the model is better, worse or not told apart from `M_0`, on which tasks and by how much, in a sentence.
    pub conclusion: String,
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
            seeds: ledger.records(0)?.len(),
            rejected: funnel::count(ledger.rejects()?.into_iter().map(|reject| reject.reason)),
            before: stages::before(ledger, &timings)?,
            confidence: bootstrap.confidence,
            baseline: evaluation::estimates(ledger, 0, bootstrap)?,
            planned: recipe.iterations,
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
        let tasks = evaluation::against_first(ledger, iteration, bootstrap)?;
        let unfinished = stages::unfinished(ledger, iteration)?;
        let calibration = ledger.calibration(iteration)?;
        Ok(Self {
            iteration,
            started_from: ledger.start(iteration)?,
            unfinished,
            conclusion: sentence::conclusion(iteration, unfinished, &tasks, bootstrap.confidence),
            funnel: Funnel::of(ledger, recipe, iteration)?,
            separations: calibration.map(|calibration| calibration.separations).unwrap_or_default(),
            scores: Scores::of(ledger, iteration)?,
            sft: TrainingSummary::of(ledger, iteration, Phase::Sft)?,
            preference: TrainingSummary::of(ledger, iteration, Phase::Preference)?,
            tasks,
            stages,
            files: IterationFiles::of(folder, iteration),
        })
    }
}

impl IterationFiles {
    fn of(folder: &Path, iteration: u32) -> Self {
        let existing = |path: PathBuf| Some(path).filter(|path| path.exists());
        Self {
            model: existing(models::trainable(folder, iteration)),
            gguf: existing(models::runnable(folder, iteration)),
            exports: existing(models::export(folder, iteration)),
        }
    }
}

/// The recipe that the ledger remembers; the default where it does not.
fn recipe(ledger: &Ledger) -> Result<Recipe, EvolveError> {
    Ok(ledger.meta("recipe")?.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use lancer_eval::Verdict;

    use super::*;

    fn counts(counts: &[(&str, usize)]) -> Counts {
        counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    fn whole() -> (hand_filled::HandFilled, Summary) {
        let run = hand_filled::whole();
        let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
        (run, summary)
    }

    #[test]
    fn the_funnel_counts_what_became_of_each_record() {
        let (_run, summary) = whole();
        assert_eq!((summary.seeds, &summary.rejected), (4, &counts(&[("no prompt", 1)])));
        let funnel = &summary.iterations[0].funnel;

        let pool = &funnel.review_seeds;
        assert_eq!((pool.records, pool.scored), (4, 3));
        assert_eq!(pool.unscored, counts(&[("no score was found", 1)]));
        let reached = |counts: &ReviewCounts| {
            counts.reached.iter().map(|reached| (reached.score, reached.records)).collect::<Vec<_>>()
        };
        assert_eq!(reached(pool), [(7.0, 1), (8.0, 1)]);

        let generate = &funnel.generate;
        assert_eq!(
            (generate.sources, generate.sources_of_prompts, generate.sources_of_worse_responses),
            (3, 2, 1)
        );
        assert_eq!(generate.prompts, WrittenCounts { samples: 3, unusable: counts(&[("empty", 1)]) });
        assert_eq!(generate.responses, WrittenCounts { samples: 4, unusable: Counts::new() });
        assert_eq!(generate.worse_responses, WrittenCounts { samples: 3, unusable: counts(&[("echo", 1)]) });
        assert_eq!(generate.records, counts(&[("new_prompt", 4), ("worse_response", 2)]));

        let dropped = counts(&[("response_near_copy", 1), ("response_too_short", 1)]);
        assert_eq!(funnel.clean, CleanCounts { records: 6, dropped, kept: 4 });
        assert_eq!((funnel.review_new.records, funnel.review_new.scored), (4, 3));
        assert_eq!(reached(&funnel.review_new), [(7.0, 2), (8.0, 1)]);
        assert_eq!(
            funnel.annotate,
            AnnotateCounts {
                records: 6,
                used: 3,
                sft: counts(&[("response", 2), ("review", 1)]),
                pairs: counts(&[("shuffled", 1), ("written", 1)]),
            }
        );
        assert_eq!(funnel.merge, PoolCounts { before: 4, joined: 1, after: 5 });
        let rows = funnel.rows();
        assert_eq!((rows[1].input, rows[1].output), (3, 6));
        assert!(rows[1].parts.contains(&("worse responses unusable (echo 1)".into(), 1)));
        assert!(rows[2].parts.contains(&("dropped: response near copy".into(), 1)));
    }

    #[test]
    fn scores_are_apart_by_origin() {
        let (_run, summary) = whole();
        let Scores { pool, new_prompt, worse_response } = summary.iterations[0].scores.clone();
        let (pool, new_prompt, worse_response) =
            (pool.unwrap(), new_prompt.unwrap(), worse_response.unwrap());
        assert_eq!((pool.records, pool.mean, pool.quartiles), (3, 5.0, [3.5, 5.0, 6.5]));
        assert_eq!((new_prompt.records, new_prompt.mean), (2, 8.0));
        assert_eq!(new_prompt.histogram, [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
        assert_eq!((worse_response.records, worse_response.mean), (1, 3.5));
    }

    #[test]
    fn training_is_from_the_first_tenth_to_the_last() {
        let (_run, summary) = whole();
        let near = |found: Option<StartEnd>, start: f64, end: f64| {
            let found = found.unwrap();
            assert!((found.start - start).abs() < 1e-9 && (found.end - end).abs() < 1e-9, "{found:?}");
        };
        let sft = summary.iterations[0].sft.as_ref().unwrap();
        assert_eq!((sft.steps, sft.examples, sft.tokens, sft.held_out), (20, 160, 2000, 3));
        near(Some(sft.loss), 2.95, 1.15);
        near(sft.held_out_loss, 2.5, 2.0);
        assert_eq!((sft.reward_margin, sft.accuracy, sft.held_out_margin), (None, None, None));
        let preference = summary.iterations[0].preference.as_ref().unwrap();
        near(Some(preference.loss), 0.695, 0.515);
        near(preference.reward_margin, 0.1, 3.7);
        near(preference.accuracy, 0.5, 1.0);
        assert_eq!((preference.held_out, preference.held_out_loss), (0, None));
    }

    #[test]
    fn evaluation_is_against_the_first_model() {
        let (_run, summary) = whole();
        assert_eq!((summary.baseline.len(), summary.baseline[1].estimate.mean), (2, 0.5));
        let tasks = &summary.iterations[0].tasks;
        assert_eq!((tasks[0].task.as_str(), tasks[0].comparison.verdict), ("held-out", Verdict::Better));
        assert!((tasks[0].comparison.difference.mean + 0.25).abs() < 1e-12);
        assert_eq!((tasks[1].task.as_str(), tasks[1].comparison.verdict), ("sums", Verdict::NotToldApart));
        let conclusion = &summary.iterations[0].conclusion;
        assert!(
            conclusion.starts_with("M_1 is better than M_0 on held-out (NLL 2.500 to 2.250"),
            "{conclusion}"
        );
        assert!(
            conclusion.contains("not told apart from M_0 on sums (accuracy 50.0 to 60.0 %"),
            "{conclusion}"
        );
    }

    #[test]
    fn time_tokens_and_files() {
        let (run, _) = whole();
        std::fs::create_dir_all(run.folder.path().join("models/m1")).unwrap();
        let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
        assert_eq!((summary.is_whole(), summary.seconds), (true, 28.0));
        assert_eq!(summary.before.iter().map(|stage| stage.stage).collect::<Vec<_>>(), Stage::BEFORE);
        let [_, review, ..] = summary.iterations[0].stages[..] else { panic!("no stages") };
        // Both sessions in which it was finished are counted.
        assert_eq!((review.stage, review.seconds, review.read), (Stage::ReviewSeeds, 5.0, 500));
        assert_eq!(review.tokens_per_second, Some(114.0));
        let files = &summary.iterations[0].files;
        assert_eq!(files.model, Some(run.folder.path().join("models/m1")));
        assert_eq!((&files.gguf, &files.exports), (&None, &None));
        serde_json::to_string(&summary).unwrap();
    }

    #[test]
    fn an_interrupted_run_has_a_summary() {
        let run = hand_filled::empty();
        let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
        assert_eq!((summary.seeds, summary.iterations.len(), summary.is_whole()), (0, 0, false));

        let run = hand_filled::stopped_while_generating();
        let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
        let [iteration] = &summary.iterations[..] else { panic!("one iteration was begun") };
        assert_eq!(iteration.unfinished, Some(Stage::Calibrate));
        assert_eq!((iteration.funnel.generate.sources, iteration.funnel.clean.records), (1, 0));
        assert_eq!((&iteration.sft, &iteration.preference, iteration.tasks.len()), (&None, &None, 0));
        assert_eq!(iteration.funnel.merge, PoolCounts { before: 4, joined: 0, after: 4 });
        assert!(iteration.conclusion.contains("not been evaluated yet"), "{}", iteration.conclusion);
    }
}
