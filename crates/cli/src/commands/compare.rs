//! `lancer compare`: recipes of the literature side by side.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use lancer_evolve::{Method, trials};

use super::evolve::{RecipeOptions, all_settings};
use crate::{failure::Failure, interrupt, output::Output, progress::Bars, table};

/// Compare recipes of the literature on the same model, seeds, tasks and budget, each under several seeds.
///
/// Every recipe is the one of --recipe with the settings that make it what it is; docs/reference/recipe.md lists them. Each
/// trial is a run of its own within the folder. Whatever ends the comparison, the same command goes on where it was.
#[derive(Args)]
#[command(after_long_help = all_settings())]
pub(crate) struct Arguments {
    /// The folder of all runs.
    #[arg(long, default_value = "runs/compare", value_name = "FOLDER")]
    runs: PathBuf,
    /// Which recipes.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = methods())]
    recipes: Vec<Method>,
    /// Tokens that each trial may generate and train on, evaluation apart; it makes as many iterations as fit.
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u64>,
    /// Trials of each recipe, under seeds from the recipe's own upwards.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// The names of the recipes.
fn methods() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name)).map(|name| {
        // The parser takes no other name.
        Method::ALL.into_iter().find(|method| method.name() == name).unwrap_or_default()
    })
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mut base = arguments.recipe.recipe(None)?;
    if let Some(budget) = arguments.budget {
        base.budget_tokens = Some(budget);
        if arguments.recipe.iterations.is_none() {
            // As many as the budget has room for.
            base.iterations = MOST_ITERATIONS;
        }
    }
    let methods = if arguments.recipes.is_empty() { Method::ALL.to_vec() } else { arguments.recipes.clone() };
    let trials = trials::of_methods(&base, &methods, arguments.repeat, &arguments.runs);
    let mut engines = arguments.recipe.engines(&base, None)?;
    engines.check()?;
    let watching = interrupt::watch();
    trials::execute(&trials, &mut engines, &mut Bars::new(output))?;
    drop(watching);
    let standings = trials::standings(&trials)?;
    output
        .print(&standings, |standings| table::print_standings(standings, base.evaluate.bootstrap.confidence));
    Ok(())
}

/// Iterations of a trial that is ended by its budget.
const MOST_ITERATIONS: u32 = 100;
