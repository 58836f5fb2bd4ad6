//! `lancer man`: the manual as pages for `man`.

use std::{fs, path::PathBuf};

use clap::{Args, Command};
use serde_json::json;

use crate::{failure::Failure, output::Output};

/// Write a manual page for lancer and for each of its commands.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder to write them to, such as `/usr/local/share/man/man1`; made where it is absent.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Writes the pages of `program`.
pub(crate) fn run(arguments: &Arguments, program: Command, output: Output) -> Result<(), Failure> {
    let folder = &arguments.out;
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(program, folder));
    written.map_err(|error| {
        Failure::failed(format!("cannot write the manual pages to {}: {error}", folder.display()))
    })?;
    output.print(&json!({ "folder": folder }), |_| outln!("pages in {}", folder.display()));
    Ok(())
}
