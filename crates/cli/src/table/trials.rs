//! Trials side by side, as tables of text.

use std::fmt::Write;

use lancer_evolve::{
    summary::Notation,
    trials::{Spread, Standing},
};

use super::{count, duration, table};

/// Prints the tables.
pub(crate) fn print_standings(standings: &[Standing], confidence: f64) {
    print!("{}", text(standings, confidence));
}

fn text(standings: &[Standing], confidence: f64) -> String {
    let percent = confidence * 100.0;
    let mut text = String::new();
    // A string takes all that is written to it.
    let _ = writeln!(
        text,
        "\nGain over all tasks in standard deviations, with {percent:.0} % intervals over items, and what a trial took\n{}",
        gains(standings)
    );
    let _ = writeln!(
        text,
        "\nDifference from M_0 on each task, with {percent:.0} % intervals\n{}",
        tasks(standings)
    );
    text
}

fn gains(standings: &[Standing]) -> comfy_table::Table {
    let columns = ["", "gain", "of each trial", "deviation", "iterations", "written", "trained on", "time"];
    let mut table = table(columns, &[1, 2, 3, 4, 5, 6, 7]);
    for Standing { name, trials, cost, gain, spread, .. } in standings {
        let seeds = if trials.len() == 1 { "1 trial".to_owned() } else { format!("{} trials", trials.len()) };
        let interval = gain.map(|gain| format!("{:+.3} [{:+.3}, {:+.3}]", gain.mean, gain.low, gain.high));
        table.add_row([
            format!("{name}, {seeds}"),
            interval.unwrap_or_default(),
            spread.map(|spread| range(&spread, |value| format!("{value:+.3}"))).unwrap_or_default(),
            spread.and_then(|spread| spread.deviation).map(|value| format!("{value:.3}")).unwrap_or_default(),
            format!("{:.1}", cost.iterations),
            count(cost.generated.round() as usize),
            count(cost.trained.round() as usize),
            duration(cost.seconds),
        ]);
    }
    table
}

fn tasks(standings: &[Standing]) -> comfy_table::Table {
    let mut table = table(["task", "", "difference", "of each trial", "verdict"], &[2, 3]);
    let mut names: Vec<&str> = Vec::new();
    for task in standings.iter().flat_map(|standing| &standing.tasks) {
        if !names.contains(&task.task.as_str()) {
            names.push(&task.task);
        }
    }
    for name in names {
        let mut title = name;
        for standing in standings {
            let Some(found) = standing.tasks.iter().find(|task| task.task == name) else { continue };
            let notation = Notation::of(found.comparison.metric);
            table.add_row([
                std::mem::take(&mut title).to_owned(),
                standing.name.clone(),
                notation.difference(&found.comparison.difference) + notation.unit_of_change(),
                range(&found.spread, |value| notation.change(value)),
                found.comparison.verdict.to_string(),
            ]);
        }
    }
    table
}

/// From the least to the largest.
fn range(spread: &Spread, written: impl Fn(f64) -> String) -> String {
    format!("{} to {}", written(spread.least), written(spread.largest))
}
