//! `lancer report`: what a run has come to.

use std::path::PathBuf;

use clap::Args;
use lancer_evolve::{Run, Summary, ledger::Ledger, write_report};

use crate::{failure::Failure, output::Output, table};

/// Show what a run has come to, and write its report.html anew. The run may still be going on.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The run's folder.
    run: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let file = arguments.run.join(Run::LEDGER);
    if !file.exists() {
        return Err(Failure::failed(format!(
            "{} is no run: there is no {} in it",
            arguments.run.display(),
            Run::LEDGER
        )));
    }
    let ledger = Ledger::read(&file)?;
    let summary = Summary::of(&ledger, &arguments.run)?;
    let report = write_report(&ledger, &arguments.run)?;
    output.print(&summary, |summary| {
        table::print(summary);
        println!("report      {}", report.display());
    });
    Ok(())
}
