//! `lancer diff`: two runs side by side.

use std::path::PathBuf;

use clap::Args;
use lancer_evolve::{
    Run,
    ledger::Ledger,
    summary::Notation,
    view::{self, RunDifference, SettingDifference},
};
use serde::Serialize;

use crate::{failure::Failure, output::Output, place, shown, table};

/// Compare two runs: the settings in which they differ, then their models on the items that both have answered.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the run to compare with.
    first: PathBuf,
    /// The folder of the other run.
    second: PathBuf,
}

#[derive(Serialize)]
struct Differences {
    first: PathBuf,
    second: PathBuf,
    settings: Vec<SettingDifference>,
    #[serde(flatten)]
    evaluation: RunDifference,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let read = |folder: &PathBuf| -> Result<Ledger, Failure> {
        place::existing_run(folder)?;
        Ok(Ledger::read(&folder.join(Run::LEDGER))?)
    };
    let (first, second) = (read(&arguments.first)?, read(&arguments.second)?);
    let (settings, others) = view::difference(&[&first, &second])?;
    let Some(evaluation) = others.into_iter().next() else { return Ok(()) };
    let (first, second) = (arguments.first.clone(), arguments.second.clone());
    output.print(&Differences { first, second, settings, evaluation }, print);
    Ok(())
}

fn print(found: &Differences) {
    outln!("first   {}", found.first.display());
    outln!("second  {}\n", found.second.display());
    if found.settings.is_empty() {
        outln!("The settings are the same.");
    } else {
        let mut rows = table::narrow(["setting", "first", "second"], &[]);
        for setting in &found.settings {
            let value = |place: usize| {
                let value = setting.values.get(place).cloned().flatten();
                value.map_or_else(|| "–".to_owned(), |value| shown::line(&value, 60))
            };
            rows.add_row([setting.name.clone(), value(0), value(1)]);
        }
        table::keep_whole(&mut rows, &[0]);
        outln!("{rows}");
    }
    let RunDifference { first_model, model, tasks, gain, notes } = &found.evaluation;
    if tasks.is_empty() {
        outln!("\nNo task was evaluated in both runs.");
    } else {
        outln!("\nThe second run's M_{model} against the first one's M_{first_model}, with 95 % intervals");
        let mut rows = table::narrow(["task", "first", "second", "difference", "verdict"], &[1, 2, 3]);
        for task in tasks {
            let compared = &task.comparison;
            let notation = Notation::of(compared.metric);
            rows.add_row([
                shown::line(&task.task, 24),
                format!("{}{}", notation.value(compared.before.mean), notation.unit()),
                format!("{}{}", notation.value(compared.after.mean), notation.unit()),
                notation.difference(&compared.difference),
                compared.verdict.to_string(),
            ]);
        }
        outln!("{rows}");
    }
    if let Some(gain) = gain {
        let notation = Notation::of_gain();
        outln!("over all tasks {}{}", notation.difference(gain), notation.unit_of_change());
    }
    for note in notes {
        outln!("{}", shown::block(&format!("note: {note}"), ""));
    }
}
