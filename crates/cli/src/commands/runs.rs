//! `lancer runs`: the runs below a folder.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use lancer_evolve::{
    summary::Notation,
    view::{self, RunOverview, Status},
};

use crate::{failure::Failure, output::Output, shown, table};

/// List the runs in a folder and below it: what each is doing, how far it is, and what it has gained.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder.
    #[arg(default_value = "runs")]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let runs = view::runs(&arguments.folder)?;
    output.print(&runs, |runs| print(arguments, runs));
    Ok(())
}

fn print(arguments: &Arguments, runs: &[RunOverview]) {
    if runs.is_empty() {
        outln!("there is no run in {}", arguments.folder.display());
        return;
    }
    let mut rows = table::narrow(["run", "status", "at", "gain [95 %]", "active"], &[]);
    for run in runs {
        rows.add_row([
            shown::line(&run.name, 24),
            run.status.as_str().into(),
            place(run),
            gain(run),
            run.last_activity.map(ago).unwrap_or_default(),
        ]);
    }
    table::keep_whole(&mut rows, &[1, 3, 4]);
    outln!("{rows}");
    for run in runs {
        if let Some(problem) = &run.problem {
            outln!("{}", shown::block(&format!("{}: {problem}", run.name), ""));
        }
    }
}

/// `1/3 fine-tune`.
pub(crate) fn place(run: &RunOverview) -> String {
    let stage = run.stage_title.unwrap_or("");
    match run.status {
        Status::Unreadable => String::new(),
        _ => format!("{}/{} {stage}", run.iteration, run.planned).trim_end().to_owned(),
    }
}

/// The gain over all tasks with its interval, and of which model.
pub(crate) fn gain(run: &RunOverview) -> String {
    run.gain
        .as_ref()
        .map_or_else(String::new, |gain| format!("M_{} {}", run.model, Notation::of_gain().difference(gain)))
}

/// How long ago a time in seconds since 1970 is.
pub(crate) fn ago(then: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(then, |since| since.as_secs());
    match now.saturating_sub(then) {
        seconds @ 0..=99 => format!("{seconds} s ago"),
        seconds @ 100..=5999 => format!("{} min ago", seconds / 60),
        seconds @ 6000..=172_799 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86400),
    }
}
