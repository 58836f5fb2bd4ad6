//! Several runs of one comparison: recipes side by side, or one recipe under several seeds.

mod outcome;

use std::path::{Path, PathBuf};

use lancer_backend::Seed;

pub use self::outcome::{Cost, Spread, Standing, TaskStanding, TrialOutcome, standings};
use crate::{
    engines::Engines,
    error::EvolveError,
    files,
    ledger::Ledger,
    progress::Progress,
    recipe::{Ablation, Method, Recipe},
    report::write_report,
    run::Run,
    stage::Stage,
};

/// One run of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What is compared: trials of one name differ in their seed alone.
    pub name: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// The run's recipe.
    pub recipe: Recipe,
}

/// Each of several recipes of the literature, under as many seeds: `base` with each one's settings over its own, so that
/// the model, the seeds, the tasks, the sizes and the budget are the same. Their folders are within `folder`.
pub fn of_methods(base: &Recipe, methods: &[Method], repeats: u32, folder: &Path) -> Vec<Trial> {
    methods
        .iter()
        .flat_map(|&method| repeated(method.name(), &base.clone().following(method), repeats, folder))
        .collect()
}

/// The same recipes, each without each of these parts. Their names are `NAME without PART`.
///
/// # Errors
/// [`EvolveError::Ablation`] where a recipe does not have a part, or would have nothing to train on.
pub fn without_parts(
    base: &Recipe,
    methods: &[Method],
    parts: &[Ablation],
    repeats: u32,
    folder: &Path,
) -> Result<Vec<Trial>, EvolveError> {
    let mut trials = Vec::new();
    for &method in methods {
        for &part in parts {
            let recipe = base.clone().following(method).without(part)?;
            let arm = repeated(&format!("{method}-without-{part}"), &recipe, repeats, folder);
            trials.extend(
                arm.into_iter().map(|trial| Trial { name: format!("{method} without {part}"), ..trial }),
            );
        }
    }
    Ok(trials)
}

/// A recipe under as many seeds, from its own upwards. The folders are within `folder`.
pub fn repeated(name: &str, recipe: &Recipe, repeats: u32, folder: &Path) -> Vec<Trial> {
    (0..u64::from(repeats))
        .map(|number| {
            let seed = Seed(recipe.seed.0.wrapping_add(number));
            Trial {
                name: name.to_owned(),
                folder: folder.join(format!("{name}-{}", seed.0)),
                recipe: Recipe { seed, ..recipe.clone() },
            }
        })
        .collect()
}

/// Takes every trial to its end, one after the other, and writes each one's report. Those that are finished are left alone.
///
/// All begin from one model on the same tasks, so `M_0` is evaluated in the first trial alone.
///
/// # Errors
/// What [`Run::open`] and [`Run::execute`] give; the same call goes on from there.
pub fn execute(
    trials: &[Trial],
    engines: &mut dyn Engines,
    progress: &mut dyn Progress,
) -> Result<(), EvolveError> {
    // All folders before the first run, which may take long.
    trials.iter().try_for_each(|trial| files::check_run(&trial.folder))?;
    // Before the first folder is made.
    trials.iter().try_for_each(|trial| trial.recipe.check_learners(&*engines))?;
    let mut first: Option<Run> = None;
    for (number, trial) in trials.iter().enumerate() {
        progress.note(&format!(
            "trial {} of {}: {}, seed {}",
            number + 1,
            trials.len(),
            trial.name,
            trial.recipe.seed.0
        ));
        let run = Run::open(&trial.folder, trial.recipe.clone())?;
        if let Some(first) = &first {
            share_baseline(first.ledger(), run.ledger())?;
        }
        let result = run.execute(engines, progress);
        let reported = write_report(run.ledger(), run.folder());
        // Why the run ended comes before why its report could not be written.
        result?;
        reported?;
        first.get_or_insert(run);
    }
    Ok(())
}

/// Copies the answers of `M_0`.
fn share_baseline(from: &Ledger, to: &Ledger) -> Result<(), EvolveError> {
    if to.is_finished(0, Stage::Evaluate)? {
        return Ok(());
    }
    let rows = from.evaluations(0)?;
    to.together(|| rows.iter().try_for_each(|row| to.add_evaluation(0, row)))?;
    to.flush()
}
