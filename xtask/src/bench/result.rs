//! What a benchmark found: a table for people, and JSON.

use std::{fmt::Write as _, fs};

use serde::Serialize;

use super::{measure::median, programs::write};
use crate::{process::Failure, setup::Environment};

/// One program in one setting.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    setting: String,
    program: String,
    /// Of each round; more is better.
    rates: Vec<f64>,
    /// The median of lancer's over that of the program that it is compared with, in the row of either.
    lancer_is_times_as_fast: Option<f64>,
    /// The most memory in the middle round, in MiB, where it was measured.
    peak_memory_mib: Option<f64>,
}

impl Row {
    /// A program that stands for itself.
    pub(crate) fn new(setting: String, program: &str, rates: Vec<f64>) -> Self {
        Self { setting, program: program.into(), rates, lancer_is_times_as_fast: None, peak_memory_mib: None }
    }

    /// Another program, which lancer's are compared with.
    pub(crate) fn against(setting: String, program: &str, rates: Vec<f64>, ours: &[f64]) -> Self {
        let ratio = median(ours.to_vec()) / median(rates.clone());
        Self { lancer_is_times_as_fast: Some(ratio), ..Self::new(setting, program, rates) }
    }

    /// lancer, compared with `theirs`.
    pub(crate) fn of_lancer(setting: String, program: &str, rates: Vec<f64>, theirs: &[f64]) -> Self {
        let ratio = median(rates.clone()) / median(theirs.to_vec());
        Self { lancer_is_times_as_fast: Some(ratio), ..Self::new(setting, program, rates) }
    }

    /// With memory, in bytes.
    pub(crate) fn memory(mut self, peaks: Vec<f64>) -> Self {
        self.peak_memory_mib = Some(median(peaks) / 1_048_576.0);
        self
    }
}

/// Prints the table in Markdown, the ratios first, and writes `bench/NAME.json` in the target folder.
pub(crate) fn finish(environment: &Environment, name: &str, unit: &str, rows: &[Row]) -> Result<(), Failure> {
    println!("{}", table(unit, rows));
    let path = environment.target().join("bench").join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(rows).map_err(|error| Failure::new(error.to_string()))?;
    write(&path, &text)?;
    println!("{}", path.display());
    Ok(())
}

fn table(unit: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "| | program | lancer is | {unit} (lowest to highest) | peak memory |\n|---|---|---|---|---|\n"
    );
    for row in rows {
        let ratio = row.lancer_is_times_as_fast.map_or(String::new(), |ratio| format!("{ratio:.2} ×"));
        let (low, high) = row
            .rates
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &rate| (low.min(rate), high.max(rate)));
        let memory = row.peak_memory_mib.map_or(String::new(), |memory| format!("{memory:.0} MiB"));
        let _ = writeln!(
            text,
            "| {} | {} | {ratio} | {:.1} ({low:.1} to {high:.1}) | {memory} |",
            row.setting,
            row.program,
            median(row.rates.clone())
        );
    }
    text
}

/// The processor and how many cores of it there are.
pub(crate) fn machine() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!("{cores} cores of {}", name.map_or("a processor without a name", |(_, name)| name.trim()))
}
