//! Trials side by side, as tables of text.

use std::fmt::Write;

use lancer_evolve::{
    summary::Notation,
    trials::{Spread, Standing},
};

use super::{count, duration, table};

/// Prints the tables.
pub(crate) fn print_standings(standings: &[Standing], confidence: f64) {
    outln!("{}", text(standings, confidence).trim_end_matches('\n'));
}

fn text(standings: &[Standing], confidence: f64) -> String {
    let percent = confidence * 100.0;
    let mut text = String::new();
    // A string takes all that is written to it.
    let _ = writeln!(
        text,
        "\nGain over all tasks in standard deviations, with {percent:.0} % intervals, and what a trial took\n{}",
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
    let columns = ["", "gain", "iterations", "written", "trained on", "time"];
    let mut table = table(columns, &[1, 2, 3, 4, 5]);
    for Standing { name, trials, cost, gain, spread, .. } in standings {
        let notation = Notation::of_gain();
        let interval = gain.map(|gain| notation.difference(&gain));
        table.add_row([
            name.clone(),
            interval.unwrap_or_default(),
            format!("{:.1}", cost.iterations),
            count(cost.generated.round() as usize),
            count(cost.trained.round() as usize),
            duration(cost.seconds),
        ]);
        if let Some(Spread { deviation: Some(deviation), .. }) = spread {
            let range =
                spread.map(|spread| range(&spread, |value| notation.change(value))).unwrap_or_default();
            table.add_row([format!("  {} trials, {deviation:.3} apart", trials.len()), range]);
        }
    }
    table
}

fn tasks(standings: &[Standing]) -> comfy_table::Table {
    let mut table = table(["task", "", "difference", "each trial", "verdict"], &[2, 3]);
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
                // Of a single trial there is nothing more to say.
                found
                    .spread
                    .deviation
                    .map(|_| range(&found.spread, |value| notation.change(value)))
                    .unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use lancer_eval::{BootstrapSettings, Estimate, Metric, compare};
    use lancer_evolve::trials::{Cost, TaskStanding};

    use super::*;

    #[test]
    fn a_row_for_each_recipe_and_its_spread_below() {
        let items = |value| vec![(value, 1.0); 8];
        let settings = BootstrapSettings::default();
        let comparison = compare(Metric::Nll, &items(2.5), &items(2.25), &settings);
        let spread = Spread { least: -0.2, largest: 0.3, deviation: Some(0.25) };
        let standing = |name: &str, spread: Option<Spread>| Standing {
            name: name.into(),
            trials: Vec::new(),
            cost: Cost { iterations: 2.0, generated: 6_719.0, trained: 26_911.0, seconds: 157.0 },
            gain: Some(Estimate { mean: 0.148, low: -0.02, high: 0.213, items: 8 }),
            spread,
            tasks: vec![TaskStanding {
                task: "held-out".into(),
                comparison,
                spread: spread.unwrap_or(Spread { least: 0.0, largest: 0.0, deviation: None }),
            }],
        };
        let standings = [standing("self-rewarding", Some(spread)), standing("spin", None)];
        let text = text(&standings, 0.95);
        let rows: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for row in [
            "self-rewarding +0.148 [−0.020, +0.213] 2.0 6,719 26,911 2 min 37 s",
            "0 trials, 0.250 apart −0.200 to +0.300",
            "held-out self-rewarding −0.250 [−0.250, −0.250] −0.200 to +0.300 better",
            "spin −0.250 [−0.250, −0.250] better",
        ] {
            assert!(rows.iter().any(|found| found == row), "{row}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
