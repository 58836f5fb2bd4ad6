//! `lancer eval`: a model on held-out tasks, alone or against another.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::Args;
use lancer_backend::Seed;
use lancer_eval::{
    BootstrapSettings, Comparison, Estimate, EvalError, EvalSink, ItemResult, KnownTask, Metric, Task,
    TaskSpec, Verdict, compare, estimate, evaluate,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    engines::{self, BackendName, Scores},
    failure::Failure,
    interrupt,
    options::{ModelOptions, SeedOption},
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
    table,
};

/// Evaluate a model on tasks, with 95 % intervals; with --against, whether it is better than another.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Task files (TOML), or names of well-known benchmarks such as `piqa`, which need --data.
    #[arg(required_unless_present = "list")]
    tasks: Vec<PathBuf>,
    /// List the benchmarks that are known by name, and end.
    #[arg(long)]
    list: bool,
    /// The data of a benchmark that is given by name, a file or `hf://datasets/…`; NAME=FILE where there are several.
    #[arg(long, value_name = "[NAME=]FILE")]
    data: Vec<String>,
    /// Only the first N items of each task.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Where the means go, as JSON in the layout of lm-evaluation-harness.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
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
    if arguments.list {
        list(output);
        return Ok(());
    }
    let tasks = tasks(&arguments.tasks, &arguments.data)?;
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
    let results = arguments.results.as_deref();
    let results = results.map(|path| place::of_file(path, arguments.overwrite, &inputs)).transpose()?;
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
    if let Some(place) = &results {
        let text = format!("{:#}\n", in_layout_of_lm_eval(&tasks, &reports, &model));
        place.write(|to| fs::write(to, &text).map_err(|error| Failure::Failed(error.into())))?;
    }
    output.print(&reports, |reports| reports.iter().for_each(print));
    Ok(())
}

/// Prints the names of the benchmarks that are known.
fn list(output: Output) {
    let known: BTreeMap<&str, String> =
        KnownTask::all().iter().map(|task| (task.name, task.description())).collect();
    output.print(&known, |known| {
        let mut rows = table::narrow(["name", "what it measures"], &[]);
        for (name, description) in known {
            rows.add_row([(*name).to_owned(), description.clone()]);
        }
        outln!("{rows}");
    });
}

/// Reads the tasks: files, and benchmarks by their names over the data given.
fn tasks(named: &[PathBuf], data: &[String]) -> Result<Vec<Task>, Failure> {
    let is_file = |path: &Path| path.extension().is_some() || path.exists();
    let mut unused: Vec<&String> = data.iter().collect();
    let only = named.iter().filter(|path| !is_file(path)).count() == 1;
    let mut tasks = Vec::new();
    for path in named {
        if is_file(path) {
            tasks.push(load(TaskSpec::load(path)?)?);
            continue;
        }
        let name = path.to_string_lossy();
        let Some(known) = KnownTask::named(&name) else {
            let names: Vec<&str> = KnownTask::all().iter().map(|task| task.name).collect();
            let nearest = lancer_evolve::nearest(&name, names.iter().copied());
            let nearest = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(Failure::usage(format!(
                "`{name}` is neither a task file nor a benchmark that is known by name{nearest}; `lancer eval --list` lists them"
            )));
        };
        let of_this = |given: &String| -> Option<String> {
            let named = given.split_once('=').filter(|(before, _)| *before == name);
            named.map(|(_, file)| file.to_owned()).or_else(|| only.then(|| given.clone()))
        };
        let Some(file) = unused.iter().find_map(|given| of_this(given)) else {
            let option = if only { String::new() } else { format!("{name}=") };
            return Err(Failure::usage(format!("`{name}` needs its data: --data {option}FILE")));
        };
        unused.retain(|given| of_this(given).is_none());
        tasks.push(load(known.over(Path::new(&file))?)?);
    }
    match unused.first() {
        None => Ok(tasks),
        Some(given) => Err(Failure::usage(format!("--data {given}: no benchmark that was named takes it"))),
    }
}

/// The means in the layout of the results of lm-evaluation-harness (`results`, `n-shot`, `higher_is_better`, `n-samples`).
fn in_layout_of_lm_eval(tasks: &[Task], reports: &[Report], model: &Path) -> serde_json::Value {
    let mut results = serde_json::Map::new();
    let mut higher = serde_json::Map::new();
    let mut versions = serde_json::Map::new();
    let mut shots = serde_json::Map::new();
    let mut samples = serde_json::Map::new();
    for (task, report) in tasks.iter().zip(reports) {
        let metric = match report.metric {
            Metric::Accuracy | Metric::CorrectProbability => "acc",
            Metric::Nll => "nll",
        };
        let Estimate { mean, low, high, items } = report.model;
        // Of a 95 % interval.
        let deviation = (high - low) / (2.0 * 1.96);
        results.insert(
            report.task.clone(),
            json!({
                "alias": report.task, format!("{metric},none"): mean, format!("{metric}_stderr,none"): deviation,
            }),
        );
        higher.insert(report.task.clone(), json!({ metric: report.metric.higher_is_better() }));
        versions.insert(report.task.clone(), json!("lancer"));
        shots.insert(report.task.clone(), json!(task.shots()));
        samples.insert(report.task.clone(), json!({ "original": task.len(), "effective": items }));
    }
    json!({
        "results": results, "versions": versions, "n-shot": shots, "higher_is_better": higher, "n-samples": samples,
        "config": { "model": "lancer", "model_args": model.display().to_string() },
    })
}

fn load(spec: TaskSpec) -> Result<Task, Failure> {
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
        let limit = arguments.limit.map_or(task.len(), |limit| task.len().min(limit as usize));
        let items: Vec<usize> = (0..limit).collect();
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
