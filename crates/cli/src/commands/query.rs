//! `lancer query`: read-only SQL over a run's ledger.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use lancer_evolve::{
    Run,
    view::{self, Answer},
};
use serde_json::Value;

use crate::{failure::Failure, output::Output, place, shown, table};

/// Ask a run's ledger with SQL. Nothing can be changed. docs/serve.md names the tables.
///
/// `lancer query runs/first "SELECT rule, count(*) FROM verdict GROUP BY rule"`
#[derive(Args)]
pub(crate) struct Arguments {
    /// The run's folder.
    run: PathBuf,
    /// One SELECT.
    sql: String,
    /// The query is ended after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// At most so many rows are printed.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: usize,
    /// Whole texts, in a column each as wide as they are; without it a table of 80 columns, in which texts are cut.
    #[arg(long)]
    wide: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    place::existing_run(&arguments.run)?;
    let limit = Duration::from_secs(arguments.timeout);
    let answer = view::query(&arguments.run.join(Run::LEDGER), &arguments.sql, limit, arguments.rows)?;
    output.print(&answer, |answer| print(arguments, answer));
    Ok(())
}

fn print(arguments: &Arguments, answer: &Answer) {
    // Half of what a line holds for each text, so that two of them fit.
    let longest = if arguments.wide { usize::MAX } else { shown::WIDTH / answer.columns.len().clamp(1, 2) };
    let cells = answer.rows.iter().map(|row| row.iter().map(|cell| text(cell, longest)).collect::<Vec<_>>());
    let columns: Vec<String> = answer.columns.iter().map(|name| shown::line(name, 40)).collect();
    let numbers: Vec<usize> = (0..columns.len())
        .filter(|&column| answer.rows.iter().all(|row| row[column].is_number() || row[column].is_null()))
        .collect();
    if arguments.wide {
        outln!("{}", columns.join("\t"));
        cells.for_each(|row| outln!("{}", row.join("\t")));
    } else {
        let mut rows = table::narrow_of(columns, &numbers);
        rows.add_rows(cells);
        outln!("{rows}");
    }
    if answer.is_cut {
        outln!("the first {} rows; --rows N gives more", answer.rows.len());
    }
}

fn text(cell: &Value, longest: usize) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => shown::line(text, longest),
        other => other.to_string(),
    }
}
