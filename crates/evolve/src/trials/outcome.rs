//! What the trials of a comparison have come to.

use std::collections::BTreeMap;

use lancer_eval::{BootstrapSettings, Comparison, Estimate, Verdict};
use serde::Serialize;

use super::Trial;
use crate::{
    budget,
    comparison::{self, PairedTask},
    error::EvolveError,
    ledger::Ledger,
    run::Run,
};

/// What a trial, or trials on average, took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Iterations.
    pub iterations: f64,
    /// Tokens that were written.
    pub generated: f64,
    /// Tokens that were trained on, prompts included.
    pub trained: f64,
    /// Wall-clock seconds, without evaluation.
    pub seconds: f64,
}

/// A trial that is finished.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialOutcome {
    /// The seed.
    pub seed: u64,
    /// The number of the model that it has come to: the last that its gate did not reject.
    pub model: u32,
    /// What it took.
    pub cost: Cost,
    /// The mean gain of that model over all tasks, in standard deviations; `None` without tasks.
    pub gain: Option<Estimate>,
}

/// How far apart trials are that differ in their seed alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The largest.
    pub largest: f64,
    /// The standard deviation, with the number of trials less one below; `None` of a single trial.
    pub deviation: Option<f64>,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            least: values.iter().copied().reduce(f64::min)?,
            largest: values.iter().copied().reduce(f64::max)?,
            deviation: (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt()),
        })
    }
}

/// Where trials of one name stand on a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStanding {
    /// The task.
    pub task: String,
    /// `M_0` against the models that are kept, each item's value being the mean over the trials.
    pub comparison: Comparison,
    /// Each trial's difference from `M_0`.
    pub spread: Spread,
}

/// Where the trials of one name stand, taken together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// What is compared.
    pub name: String,
    /// Each trial.
    pub trials: Vec<TrialOutcome>,
    /// What a trial took on average.
    pub cost: Cost,
    /// The mean gain over all tasks, in standard deviations, each item's value being the mean over the trials.
    pub gain: Option<Estimate>,
    /// The gain of each trial by itself.
    pub spread: Option<Spread>,
    /// The tasks, judged together.
    pub tasks: Vec<TaskStanding>,
}

impl Standing {
    /// Whether the interval of the gain is above zero, and no task is worse.
    pub fn is_gain(&self) -> bool {
        self.gain.is_some_and(|gain| gain.low > 0.0)
            && self.tasks.iter().all(|task| task.comparison.verdict != Verdict::Worse)
    }
}

/// Where the trials stand, those of one name together, in the order in which names first appear.
///
/// The interval of a gain is over the tasks' items, with the trials that there are; the spread is over the trials.
///
/// # Errors
/// What reading the ledgers gives.
pub fn standings(trials: &[Trial]) -> Result<Vec<Standing>, EvolveError> {
    let mut names: Vec<&str> = Vec::new();
    for trial in trials {
        if !names.contains(&trial.name.as_str()) {
            names.push(&trial.name);
        }
    }
    names
        .into_iter()
        .map(|name| {
            let of_name: Vec<&Trial> = trials.iter().filter(|trial| trial.name == name).collect();
            standing(name, &of_name)
        })
        .collect()
}

fn standing(name: &str, trials: &[&Trial]) -> Result<Standing, EvolveError> {
    let mut outcomes = Vec::new();
    let mut paired: Vec<Vec<PairedTask>> = Vec::new();
    for trial in trials {
        let ledger = Ledger::read(&trial.folder.join(Run::LEDGER))?;
        let last = ledger.finished_iterations()?.unwrap_or(0);
        let model = ledger.kept()?;
        let tasks = comparison::paired(&ledger, 0, model)?;
        let gain = comparison::gain(&tasks, &trial.recipe.evaluate.bootstrap);
        outcomes.push(TrialOutcome { seed: trial.recipe.seed.0, model, cost: cost(&ledger, last)?, gain });
        paired.push(tasks);
    }
    let bootstrap =
        trials.first().map_or_else(BootstrapSettings::default, |trial| trial.recipe.evaluate.bootstrap);
    let spreads = spreads(&paired);
    let together = averaged(paired);
    let gains: Vec<f64> = outcomes.iter().filter_map(|outcome| Some(outcome.gain?.mean)).collect();
    let tasks = comparison::judged(&together, &bootstrap)
        .into_iter()
        .filter_map(|(task, comparison)| {
            let spread = *spreads.get(&task)?;
            Some(TaskStanding { task, comparison, spread })
        })
        .collect();
    Ok(Standing {
        name: name.to_owned(),
        cost: mean_cost(&outcomes),
        gain: comparison::gain(&together, &bootstrap),
        spread: Spread::of(&gains),
        trials: outcomes,
        tasks,
    })
}

fn cost(ledger: &Ledger, iterations: u32) -> Result<Cost, EvolveError> {
    let mut cost = Cost { iterations: f64::from(iterations), ..Cost::default() };
    for timing in ledger.timings()?.iter().filter(|timing| budget::counts(timing)) {
        cost.generated += timing.usage.generated as f64;
        cost.trained += timing.trained as f64;
        cost.seconds += timing.seconds;
    }
    Ok(cost)
}

fn mean_cost(outcomes: &[TrialOutcome]) -> Cost {
    let mean = |of: fn(&Cost) -> f64| {
        outcomes.iter().map(|outcome| of(&outcome.cost)).sum::<f64>() / outcomes.len().max(1) as f64
    };
    Cost {
        iterations: mean(|cost| cost.iterations),
        generated: mean(|cost| cost.generated),
        trained: mean(|cost| cost.trained),
        seconds: mean(|cost| cost.seconds),
    }
}

/// The spread of the trials' differences on each task.
fn spreads(paired: &[Vec<PairedTask>]) -> BTreeMap<String, Spread> {
    let mut differences: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for task in paired.iter().flatten() {
        differences.entry(task.task.clone()).or_default().push(task.difference());
    }
    differences.into_iter().filter_map(|(task, values)| Some((task, Spread::of(&values)?))).collect()
}

/// The tasks with each item's value being the mean over all trials, of the items that all have answered.
fn averaged(paired: Vec<Vec<PairedTask>>) -> Vec<PairedTask> {
    let trials = paired.len();
    let mut tasks: BTreeMap<String, Vec<PairedTask>> = BTreeMap::new();
    for task in paired.into_iter().flatten() {
        tasks.entry(task.task.clone()).or_default().push(task);
    }
    tasks.into_values().filter(|of_trials| of_trials.len() == trials).filter_map(mean_task).collect()
}

fn mean_task(of_trials: Vec<PairedTask>) -> Option<PairedTask> {
    let trials = of_trials.len();
    let mut sums: BTreeMap<usize, (usize, [(f64, f64); 2])> = BTreeMap::new();
    for task in &of_trials {
        for (place, &item) in task.items.iter().enumerate() {
            let (count, sides) = sums.entry(item).or_insert((0, [(0.0, 0.0); 2]));
            *count += 1;
            for (side, value) in sides.iter_mut().zip([task.before[place], task.after[place]]) {
                *side = (side.0 + value.0 / trials as f64, side.1 + value.1 / trials as f64);
            }
        }
    }
    let mut task = of_trials.into_iter().next()?;
    sums.retain(|_, (count, _)| *count == trials);
    task.items = sums.keys().copied().collect();
    task.before = sums.values().map(|(_, [before, _])| *before).collect();
    task.after = sums.values().map(|(_, [_, after])| *after).collect();
    Some(task)
}
