//! `lancer evolve`: the whole loop.

use std::{env, path::PathBuf};

use clap::{Args, ValueEnum};
use lancer_backend::Seed;
use lancer_evolve::{EvolveError, Recipe, Run, Summary, write_report};
use lancer_review::ModeSetting;

use crate::{
    engines::RunEngines,
    failure::Failure,
    options::{ModelOptions, default_model},
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
    /// A TOML file with settings; what it leaves out has its default. See below for all of them.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Pairs of a prompt and a response to begin with: .jsonl, .json or .parquet, in any of the usual layouts.
    #[arg(long, value_name = "FILE")]
    seeds: Option<PathBuf>,
    /// A task to evaluate each model on, a TOML file; may be repeated. Replaces the recipe's.
    #[arg(long = "task", value_name = "FILE")]
    tasks: Vec<PathBuf>,
    /// Number of iterations.
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// Decides everything that is drawn at random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How pairs are reviewed.
    #[arg(long, value_enum)]
    review: Option<Review>,
    /// Change any setting, such as `--set preference.loss.beta=0.2`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    model: ModelOptions,
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
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let recipe = recipe(arguments)?;
    let run = Run::open(&arguments.run, recipe)?;
    let result = run.execute(&mut RunEngines { options: &arguments.model.engine }, &mut Bars::new(output));
    // A report of what there is, also of a run that was stopped; the first failure is the one to be told.
    let report = write_report(run.ledger(), run.folder());
    result?;
    let report = report?;
    let summary = Summary::of(run.ledger(), run.folder())?;
    output.print(&summary, |summary| {
        table::print(summary);
        println!("report      {}", report.display());
    });
    Ok(())
}

/// The recipe: the run's own or the file's or the default, with what the command line says.
fn recipe(arguments: &Arguments) -> Result<Recipe, Failure> {
    let mut recipe = match (&arguments.recipe, Run::recipe_of(&arguments.run)?) {
        (Some(file), _) => {
            let folder = std::path::absolute(file)?;
            Recipe::load(file)?.resolved(folder.parent().unwrap_or(&folder))
        }
        (None, Some(started)) => started,
        (None, None) => Recipe::default(),
    };
    if let Some(model) = &arguments.model.model {
        recipe.model.clone_from(model);
    }
    if let Some(seeds) = &arguments.seeds {
        recipe.seeds.clone_from(seeds);
    }
    if !arguments.tasks.is_empty() {
        recipe.evaluate.tasks.clone_from(&arguments.tasks);
    }
    if let Some(iterations) = arguments.iterations {
        recipe.iterations = iterations;
    }
    if let Some(seed) = arguments.seed {
        recipe.seed = Seed(seed);
    }
    if let Some(review) = arguments.review {
        recipe.review.mode = match review {
            Review::Auto => ModeSetting::Auto,
            Review::Rubric => ModeSetting::Rubric,
            Review::Expected => ModeSetting::Expected,
            Review::Likelihood => ModeSetting::Likelihood,
        };
    }
    let mut recipe = recipe.with(&arguments.set)?;
    if recipe.model.as_os_str().is_empty() {
        recipe.model = default_model()?;
    }
    if recipe.seeds.as_os_str().is_empty() {
        return Err(Failure::usage("no seeds: give a file of prompts and responses with --seeds FILE"));
    }
    let here = env::current_dir()?;
    let recipe = recipe.resolved(&here);
    for path in [&recipe.model, &recipe.seeds].into_iter().chain(&recipe.evaluate.tasks) {
        if !path.exists() {
            return Err(EvolveError::Io {
                action: "find",
                path: path.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            }
            .into());
        }
    }
    Ok(recipe)
}

fn all_settings() -> String {
    format!(
        "All settings and their defaults, as a recipe file or run.toml holds them; --set changes one by its name, such \
         as `--set sft.train.epochs=2`:\n\n{}",
        Recipe::default().to_toml()
    )
}
