//! `lancer compare`: recipes of the literature side by side.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use lancer_evolve::{
    Ablation, Method, Run,
    ledger::Ledger,
    summary::Notation,
    trials::{self, Trial},
    view,
};

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
    /// Run each recipe without these parts too, and show what each part adds.
    #[arg(long, value_delimiter = ',', value_name = "PARTS", value_parser = ablations())]
    ablation: Vec<Ablation>,
    /// Tokens that each trial may generate and train on, evaluation apart; it makes as many iterations as fit.
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u64>,
    /// Trials of each recipe, under seeds from the recipe's own upwards.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// The names of the parts that can be left out.
pub(super) fn ablations() -> impl TypedValueParser<Value = Ablation> {
    PossibleValuesParser::new(Ablation::ALL.map(Ablation::name)).map(|name| {
        // The parser takes no other name.
        Ablation::ALL.into_iter().find(|part| part.name() == name).unwrap_or(Ablation::Sft)
    })
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
    let whole = trials::of_methods(&base, &methods, arguments.repeat, &arguments.runs);
    let arms =
        trials::without_parts(&base, &methods, &arguments.ablation, arguments.repeat, &arguments.runs)?;
    let trials: Vec<Trial> = whole.iter().chain(&arms).cloned().collect();
    let mut engines = arguments.recipe.engines(&base, None)?;
    engines.check()?;
    let watching = interrupt::watch();
    trials::execute(&trials, &mut engines, &mut Bars::new(output))?;
    drop(watching);
    let standings = trials::standings(&trials)?;
    output
        .print(&standings, |standings| table::print_standings(standings, base.evaluate.bootstrap.confidence));
    if output != Output::Json && !arms.is_empty() {
        print_parts(&whole, &arms)?;
    }
    Ok(())
}

/// What each part adds: each whole trial against the one of the same seed without the part, on the same items.
fn print_parts(whole: &[Trial], arms: &[Trial]) -> Result<(), Failure> {
    outln!(
        "\nWhat each part adds: the whole recipe against it without the part, in standard deviations over all tasks"
    );
    let mut rows = table::narrow(["part left out", "seed", "the part adds", "tasks"], &[1, 2]);
    for arm in arms {
        let of_arm = |trial: &&Trial| {
            arm.name.starts_with(&format!("{} without ", trial.name)) && trial.recipe.seed == arm.recipe.seed
        };
        let Some(trial) = whole.iter().find(of_arm) else { continue };
        let open = |trial: &Trial| Ledger::read(&trial.folder.join(Run::LEDGER));
        let (_, differences) = view::difference(&[&open(arm)?, &open(trial)?])?;
        for difference in differences {
            let notation = Notation::of_gain();
            let tasks: Vec<String> = difference
                .tasks
                .iter()
                .map(|task| {
                    let notation = Notation::of(task.comparison.metric);
                    format!("{} {}", task.task, notation.difference(&task.comparison.difference))
                })
                .collect();
            rows.add_row([
                arm.name.clone(),
                arm.recipe.seed.0.to_string(),
                difference.gain.map_or_else(|| "–".into(), |gain| notation.difference(&gain)),
                tasks.join("; "),
            ]);
        }
    }
    outln!("{rows}");
    Ok(())
}

/// Iterations of a trial that is ended by its budget.
const MOST_ITERATIONS: u32 = 100;
