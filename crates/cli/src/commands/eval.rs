//! `lancer eval`: a model on held-out tasks, alone or against another.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::Args;
use lancer_backend::Seed;
use lancer_eval::{
    BootstrapSettings, Comparison, Estimate, EvalError, EvalSink, ItemResult, Metric, Task, TaskSpec,
    Verdict, compare, estimate, evaluate,
};
use serde::Serialize;

use crate::{
    engines::{self, BackendName, Scores},
    failure::Failure,
    interrupt,
    options::{ModelOptions, SeedOption},
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
};

/// Evaluate a model on tasks, with 95 % intervals; with --against, whether it is better than another.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Task files, TOML.
    #[arg(required = true)]
    tasks: Vec<PathBuf>,
    /// A model to compare with, item by item; with weights of the same format, which makes a difference by itself.
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Where every item's result goes, by its ending.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    seed: SeedOption,
    #[command(flatten)]
    model: ModelOptions,
}

#[derive(Serialize)]
struct Report {
    task: String,
    metric: Metric,
    model: Estimate,
    /// The comparison with the model of `--against`, which is the one before.
    against: Option<Comparison>,
}

#[derive(Serialize)]
struct ItemRow<'a> {
    task: &'a str,
    model: &'static str,
    #[serde(flatten)]
    result: &'a ItemResult,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let tasks = arguments.tasks.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
    let model = arguments.model.path()?;
    if arguments.against.is_some() && arguments.model.engine.named() == Some(BackendName::OpenAi) {
        return Err(Failure::usage(
            "--against needs a second model, and the servers have one: evaluate each with --items FILE, the servers running it",
        ));
    }
    let inputs: Vec<&Path> = [model.as_path()]
        .into_iter()
        .chain(arguments.against.as_deref())
        .chain(arguments.tasks.iter().map(PathBuf::as_path))
        .chain(tasks.iter().map(Task::data))
        .collect();
    let items = arguments.items.as_deref();
    let items = items.map(|path| place::of_rows(path, arguments.overwrite, &inputs)).transpose()?;
    let mut bars = Bars::new(output);
    let own = answer(arguments, &model, &tasks, &mut bars)?;
    let others = match &arguments.against {
        Some(path) => Some(answer(arguments, path, &tasks, &mut bars)?),
        None => None,
    };
    let settings = BootstrapSettings::default();
    let values = |results: &[ItemResult]| results.iter().map(ItemResult::weighted).collect::<Vec<_>>();
    let reports: Vec<Report> = tasks
        .iter()
        .enumerate()
        .map(|(place, task)| {
            let own = values(&own[place]);
            Report {
                task: task.name().to_owned(),
                metric: task.metric(),
                model: estimate(&own, &settings),
                against: others
                    .as_ref()
                    .map(|others| compare(task.metric(), &values(&others[place]), &own, &settings)),
            }
        })
        .collect();
    interrupt::check()?;
    if let Some(place) = &items {
        let mut rows = Vec::new();
        for (name, results) in [("model", Some(&own)), ("against", others.as_ref())] {
            for (task, results) in tasks.iter().zip(results.into_iter().flatten()) {
                rows.extend(results.iter().map(|result| ItemRow { task: task.name(), model: name, result }));
            }
        }
        lancer_data::write_rows_to(place, &rows)?;
    }
    output.print(&reports, |reports| reports.iter().for_each(print));
    Ok(())
}

fn load(path: &Path) -> Result<Task, Failure> {
    let spec = TaskSpec::load(path)?;
    let rows = lancer_data::read_rows(spec.data())?;
    if let Some(reject) = rows.rejects.first() {
        return Err(Failure::failed(format!(
            "{}: line {}: {}",
            spec.data().display(),
            reject.place,
            reject.reason
        )));
    }
    Ok(Task::new(spec, rows.rows)?)
}

/// The results of a model on every task, in the items' order.
fn answer(
    arguments: &Arguments,
    model: &Path,
    tasks: &[Task],
    bars: &mut Bars,
) -> Result<Vec<Vec<ItemResult>>, Failure> {
    let scores = if tasks.iter().any(Task::is_scored) { Scores::Asked } else { Scores::NotAsked };
    let mut backend = engines::backend(&arguments.model.engine, model, scores)?;
    let seed: Seed = arguments.seed.get();
    let mut all = Vec::new();
    for task in tasks {
        let items: Vec<usize> = (0..task.len()).collect();
        bars.start(task.name().to_owned(), "items", 0, items.len());
        let mut sink = Sink { bars, results: Vec::new() };
        let watching = interrupt::watch();
        let result = evaluate(backend.as_mut(), task, &items, seed, &mut sink);
        drop(watching);
        let mut results = sink.results;
        bars.stop();
        match result {
            Err(EvalError::Cancelled) => {
                return Err(Failure::Interrupted("interrupted; nothing was written".into()));
            }
            result => result?,
        };
        results.sort_by_key(|result| result.item);
        all.push(results);
    }
    Ok(all)
}

fn print(report: &Report) {
    let name = report.metric.name();
    let Some(Comparison { before, after, difference, verdict, .. }) = &report.against else {
        outln!("{}: {name} {}", report.task, shown(&report.model));
        return;
    };
    let words = match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NotToldApart => "not told apart",
    };
    outln!(
        "{}: {name} {} against {}; difference {}: {words}",
        report.task,
        shown(after),
        shown(before),
        shown(difference)
    );
}

fn shown(estimate: &Estimate) -> String {
    format!("{:.4} [{:.4}, {:.4}]", estimate.mean, estimate.low, estimate.high)
}

struct Sink<'a> {
    bars: &'a mut Bars,
    results: Vec<ItemResult>,
}

impl EvalSink for Sink<'_> {
    fn evaluated(&mut self, result: ItemResult) -> ControlFlow<()> {
        self.results.push(result);
        self.bars.add(1, 0)
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.bars.add(0, tokens)
    }
}
