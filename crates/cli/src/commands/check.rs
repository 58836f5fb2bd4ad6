//! `lancer check`: whether a run is what it promises to be.

use std::path::PathBuf;

use clap::Args;
use lancer_evolve::check::{self, Checked, Saved};

use crate::{failure::Failure, output::Output};

/// Check that nothing of a run is damaged, lost or changed. The run may still be going on.
///
/// Every row's parents exist, keys and texts derive from what caused them, counts agree, finished stages lack nothing and have
/// the rows that they had, models and exports are there. Nothing is changed. Exit code 1 where something is wrong.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The run's folder.
    run: PathBuf,
    /// Instead, write every row that can be read to this new folder, a file of JSON lines for each table, however damaged
    /// the ledger is.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if let Some(folder) = &arguments.save {
        let saved = check::save(&arguments.run, folder)?;
        output.print(&saved, print_saved);
        return Ok(());
    }
    let checked = check::check(&arguments.run)?;
    output.print(&checked, print);
    if checked.is_sound() {
        return Ok(());
    }
    let broken = checked.checks.iter().filter(|check| !check.broken.is_empty());
    let advice: Vec<&str> = broken.map(|check| check.promise.advice()).collect();
    let mut told = Vec::new();
    for advice in advice {
        if !told.contains(&advice) {
            told.push(advice);
        }
    }
    Err(Failure::failed(format!("{} is not what it should be. {}", checked.run.display(), told.join(" "))))
}

fn print(checked: &Checked) {
    outln!(
        "{}: {} rows, {} stages finished{}",
        checked.run.display(),
        checked.rows,
        checked.finished,
        if checked.in_use { ", being worked on" } else { "" }
    );
    for check in &checked.checks {
        let name = check.promise.as_str();
        if check.broken.is_empty() {
            outln!("  ok     {name:<10} {} {}", check.tested, check.promise.unit());
        }
        for broken in &check.broken {
            outln!("  wrong  {name:<10} {broken}");
        }
        for note in &check.notes {
            outln!("  note   {name:<10} {note}");
        }
    }
}

fn print_saved(saved: &Saved) {
    for table in &saved.tables {
        match &table.cut {
            None => outln!("{:<12} {} rows", table.name, table.rows),
            Some(why) => outln!("{:<12} {} rows, others cannot be read: {why}", table.name, table.rows),
        }
    }
    outln!("{}", saved.folder.display());
}
