//! `lancer evolve`: the whole loop.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use lancer_backend::Seed;
use lancer_evolve::{
    Ablation, EvolveError, Part, Reached, Recipe, Run, Stage, Summary, TrackFormat, Tracked, Tracker, models,
    summary::Outcome,
    trials::{self, Standing},
    write_report,
};
use lancer_review::ModeSetting;

use crate::{
    converted::adapter_over,
    engines::{BackendName, RunEngines},
    failure::Failure,
    hub_model::{self, Files},
    interrupt,
    options::{ModelOptions, PythonOption, default_model},
    output::Output,
    progress::Bars,
    table,
};

/// Run the loop: review, generate, clean, review, annotate, fine-tune, preference, evaluate, and again.
///
/// A run is a folder. Whatever ends it, the same command goes on where it was.
#[derive(Args)]
#[command(after_long_help = all_settings())]
pub(crate) struct Arguments {
    /// The run's folder: a new run where there is none, else the one that is there goes on.
    #[arg(long, default_value = "runs/default", value_name = "FOLDER")]
    run: PathBuf,
    /// Run so many times, under seeds from the recipe's own upwards, each in a folder of its own within --run, and show
    /// how far the runs are apart.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// End with exit code 3 unless the model that is kept is better than the first: the interval of the gain over all tasks
    /// is above zero, and no task is worse.
    #[arg(long)]
    require_gain: bool,
    /// Write the scalars of the run for another tool too, into `track` within its folder.
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "repeat")]
    track: Option<Track>,
    /// Leave the run after this stage of the iteration that it is in: `annotate` makes data and trains nothing. The same command
    /// without it goes on.
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    until: Option<Stage>,
    /// Leave parts of the recipe out of a new run, to find out what they add (`lancer compare --ablation` shows it).
    #[arg(long, value_delimiter = ',', value_name = "PARTS", value_parser = super::compare::ablations())]
    ablation: Vec<Ablation>,
    /// A model that was trained elsewhere on the run's examples (a GGUF file, a Hugging Face folder or a PEFT adapter): it becomes
    /// the iteration's model, and the run goes on from there.
    #[arg(long, value_name = "PATH")]
    trained: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// Reads the name of a stage.
fn stage(text: &str) -> Result<Stage, String> {
    Stage::from_name(&text.replace('-', "_")).filter(|stage| *stage != Stage::Import).ok_or_else(|| {
        let known = Stage::ITERATION.map(|stage| stage.as_str().replace('_', "-"));
        format!("the stages are {}", known.join(", "))
    })
}

#[derive(Clone, Copy, ValueEnum)]
enum Track {
    /// Event files of TensorBoard.
    Tensorboard,
    /// A line of JSON for each scalar.
    Jsonl,
}

/// What a recipe is made of.
#[derive(Args)]
pub(crate) struct RecipeOptions {
    /// A TOML file with settings; what it leaves out has its default. See below for all of them.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Pairs of a prompt and a response to begin with: .jsonl, .json, .csv or .parquet, in any of the usual layouts; a folder
    /// of them, a pattern such as 'data/*.jsonl', or `hf://datasets/OWNER/NAME/PATH`.
    #[arg(long, value_name = "FILE")]
    seeds: Option<PathBuf>,
    /// A task to evaluate each model on, a TOML file; may be repeated. Replaces the recipe's.
    #[arg(long = "task", value_name = "FILE")]
    tasks: Vec<PathBuf>,
    /// Number of iterations.
    #[arg(long, value_name = "N")]
    pub(crate) iterations: Option<u32>,
    /// Decides everything that is drawn at random.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// How pairs are reviewed.
    #[arg(long, value_enum)]
    review: Option<Review>,
    /// Change any setting, such as `--set preference.loss.beta=0.2`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    python: PythonOption,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Review {
    /// Measure on the seeds which mode tells good from damaged best.
    Auto,
    /// The model writes a justification and a score.
    Rubric,
    /// The model's probabilities of the scores.
    Expected,
    /// Log-probabilities of prompt and response.
    Likelihood,
    /// Nothing is reviewed.
    None,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if arguments.repeat > 1 { repeated(arguments, output) } else { once(arguments, output) }
}

fn once(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let recipe = arguments.recipe.recipe(Some(&arguments.run))?;
    let is_there = Run::recipe_of(&arguments.run)?.is_some();
    let recipe = if is_there && arguments.recipe.recipe.is_none() {
        // Its own recipe is the one without them.
        recipe
    } else {
        without(recipe, &arguments.ablation)?
    };
    let mut engines = arguments.recipe.engines(&recipe, Some(&arguments.run))?;
    // Before the folder is made: a run's settings cannot be changed.
    recipe.check_learners(&engines)?;
    engines.check()?;
    let watching = interrupt::watch();
    let run = interrupt::of_run(|| Run::open(&arguments.run, recipe))?;
    let part = Part { until: arguments.until, trained: arguments.trained.clone() };
    let result = executed(arguments, &run, &mut engines, &part, output);
    drop(watching);
    // A report of what there is, also of a run that was stopped; the first failure is the one to be told.
    let report = write_report(run.ledger(), run.folder());
    let reached = result?;
    let report = report?;
    let summary = Summary::of(run.ledger(), run.folder())?;
    output.print(&summary, |summary| {
        table::print(summary);
        outln!("report      {}", report.display());
        if let Reached::After { iteration, stage } = reached {
            print_left(&run, iteration, stage);
        }
    });
    if !arguments.require_gain || summary.kept.outcome == Outcome::Better {
        return Ok(());
    }
    let last = summary.iterations.last();
    Err(Failure::NoGain(last.map(|iteration| iteration.advice.clone()).unwrap_or_default()))
}

/// Takes the run through its stages, and its scalars into a file where they are asked for.
fn executed(
    arguments: &Arguments,
    run: &Run,
    engines: &mut RunEngines,
    part: &Part,
    output: Output,
) -> Result<Reached, EvolveError> {
    let mut bars = Bars::new(output);
    let Some(track) = arguments.track else { return run.execute_part(engines, &mut bars, part) };
    let format = match track {
        Track::Tensorboard => TrackFormat::TensorBoard,
        Track::Jsonl => TrackFormat::Jsonl,
    };
    let mut tracked = Tracked::new(&mut bars, Tracker::begin(run.folder(), format)?);
    let result = run.execute_part(engines, &mut tracked, part);
    let written = tracked.end();
    let reached = result?;
    written.map(|()| reached)
}

/// Says where a run was left, and how it goes on.
fn print_left(run: &Run, iteration: u32, stage: Stage) {
    outln!("left after  {stage} of iteration {iteration} (--until)");
    let exports = models::export(run.folder(), iteration);
    if exports.exists() {
        outln!("data        {}", exports.display());
    }
    outln!("go on       the same command without --until");
    if stage == Stage::Annotate {
        outln!(
            "            or train elsewhere on the data, and then: lancer evolve --run {} --trained MODEL",
            run.folder().display()
        );
    }
}

/// The recipe without these parts.
fn without(recipe: Recipe, parts: &[Ablation]) -> Result<Recipe, EvolveError> {
    parts.iter().try_fold(recipe, |recipe, &part| recipe.without(part))
}

fn repeated(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let recipe = without(arguments.recipe.recipe(None)?, &arguments.ablation)?;
    let confidence = recipe.evaluate.bootstrap.confidence;
    let trials = trials::repeated("seed", &recipe, arguments.repeat, &arguments.run);
    let mut engines = arguments.recipe.engines(&recipe, None)?;
    engines.check()?;
    let watching = interrupt::watch();
    trials::execute(&trials, &mut engines, &mut Bars::new(output))?;
    drop(watching);
    let standings = trials::standings(&trials)?;
    output.print(&standings, |standings| table::print_standings(standings, confidence));
    if arguments.require_gain && !standings.iter().all(Standing::is_gain) {
        return Err(Failure::NoGain("Each run's report says what to try next.".into()));
    }
    Ok(())
}

impl RecipeOptions {
    /// The engines that the recipe and the command line name.
    pub(crate) fn engines(&self, recipe: &Recipe, run: Option<&Path>) -> Result<RunEngines, Failure> {
        let engines = RunEngines::new(&self.model.engine, recipe, run).map_err(Failure::usage)?;
        Ok(engines.with_python(self.python.get().map(Path::to_path_buf)))
    }

    /// The recipe: that of the run that is there, or the file's, or the default, with what the command line says.
    pub(crate) fn recipe(&self, run: Option<&Path>) -> Result<Recipe, Failure> {
        let started = run.map(Run::recipe_of).transpose()?.flatten();
        let is_new = started.is_none();
        // A recipe's file need not name the engine that the run was started with.
        let started_with = started.as_ref().and_then(|started| started.backend.clone());
        let servers_before = started.as_ref().map(|started| started.server.clone()).unwrap_or_default();
        let mut recipe = match (&self.recipe, started) {
            (Some(file), _) => {
                let folder = std::path::absolute(file)?;
                Recipe::load(file)?.resolved(folder.parent().unwrap_or(&folder))
            }
            (None, Some(started)) => started,
            (None, None) => Recipe::default(),
        };
        if let Some(model) = &self.model.files.model
            && !hub_model::is_kept(model, &recipe.model)
        {
            recipe.model.clone_from(model);
        }
        if let Some(backend) = self.model.engine.named() {
            recipe.backend = Some(backend.name().into());
        }
        self.model.engine.servers.recorded_in(&mut recipe.server);
        if recipe.server.urls.is_empty() {
            // Nor the servers.
            recipe.server = servers_before;
        }
        if recipe.backend.is_none() {
            recipe.backend = if is_new { Some(BackendName::DEFAULT.name().into()) } else { started_with };
        }
        if let Some(seeds) = &self.seeds
            && !lancer_data::is_pinned(seeds, &recipe.seeds)
        {
            recipe.seeds.clone_from(seeds);
        }
        if !self.tasks.is_empty() {
            recipe.evaluate.tasks.clone_from(&self.tasks);
        }
        if let Some(iterations) = self.iterations {
            recipe.iterations = iterations;
        }
        if let Some(seed) = self.seed {
            recipe.seed = Seed(seed);
        }
        if let Some(review) = self.review {
            recipe.review.mode = match review {
                Review::Auto => ModeSetting::Auto,
                Review::Rubric => ModeSetting::Rubric,
                Review::Expected => ModeSetting::Expected,
                Review::Likelihood => ModeSetting::Likelihood,
                Review::None => ModeSetting::None,
            };
        }
        let mut recipe = recipe.with(&self.set)?;
        if recipe.model.as_os_str().is_empty() {
            recipe.model = default_model()?;
        }
        recipe.seeds = lancer_data::pinned(&recipe.seeds)?.into_owned();
        recipe.model = hub_model::local(&recipe.model, Files::All)?;
        if let Some(adapter) = &self.model.files.adapter {
            recipe.model = adapter_over(&recipe.model, adapter)?;
        }
        if recipe.seeds.as_os_str().is_empty() {
            return Err(Failure::usage("no seeds: give a file of prompts and responses with --seeds FILE"));
        }
        let here = env::current_dir()?;
        let recipe = recipe.resolved(&here);
        // One that leads to no file says so here, before anything else is done.
        lancer_data::files_of(&recipe.seeds)?
            .iter()
            .chain([&recipe.model])
            .chain(&recipe.evaluate.tasks)
            .try_for_each(|path| existing(path))?;
        Ok(recipe)
    }
}

/// An error where there is nothing at a path.
fn existing(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let (path, source) = (path.to_owned(), std::io::ErrorKind::NotFound.into());
    Err(EvolveError::Io { action: "find", path, source }.into())
}

/// All settings with their defaults, for help texts.
pub(super) fn all_settings() -> String {
    format!(
        "All settings and their defaults, as a recipe file or run.toml holds them; --set changes one by its name, such \
         as `--set sft.train.epochs=2`:\n\n{}",
        Recipe::default().to_toml()
    )
}
