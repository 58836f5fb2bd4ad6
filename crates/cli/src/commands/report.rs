//! `lancer report`: what a run has come to.

use std::path::PathBuf;

use clap::Args;
use lancer_evolve::{Run, Summary, ledger::Ledger, report_place, write_report_to};
use lancer_output::{OutputError, Place};

use crate::{
    failure::Failure,
    output::Output,
    place::{self, OverwriteOption},
    table,
};

/// Show what a run has come to, and write its report.html anew. The run may still be going on.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The run's folder.
    run: PathBuf,
    /// Where the report goes; report.html in the run's folder if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let folder = &arguments.run;
    let file = folder.join(Run::LEDGER);
    place::existing_run(folder)?;
    let place = match &arguments.out {
        Some(file) => Some(Place::file(file, arguments.overwrite.existing())?),
        // The run can be looked at all the same.
        None => match report_place(folder) {
            Err(OutputError::NotWritable { .. }) => None,
            place => Some(place?),
        },
    };
    let ledger = Ledger::read(&file)?;
    let summary = Summary::of(&ledger, folder)?;
    if let Some(place) = &place {
        write_report_to(&ledger, folder, place)?;
    }
    output.print(&summary, |summary| {
        table::print(summary);
        if place.is_some() {
            let file = arguments.out.clone().unwrap_or_else(|| folder.join("report.html"));
            outln!("report      {}", file.display());
        }
    });
    if place.is_none() {
        let folder = folder.display();
        errln!(
            "note: no report was written, since nothing can be written into {folder}; --out FILE writes it elsewhere"
        );
    }
    Ok(())
}
