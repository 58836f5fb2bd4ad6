//! Decoding a Parquet file in a process of its own: damage within a page can end the process that decodes it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::failure::Failure;

/// The subcommand's name, which no help shows.
pub(crate) const NAME: &str = "decode-parquet";

/// The memory that decoding may take, and so much more for each byte of the file.
const MEMORY: u64 = 4 << 30;
const MEMORY_PER_BYTE: u64 = 32;
/// The seconds of the processor's time that decoding may take, and one more for so many bytes of the file.
const SECONDS: u64 = 60;
const BYTES_PER_SECOND: u64 = 1 << 20;

/// Decodes columns of a Parquet file and says by the exit code whether that succeeded.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    path: PathBuf,
    columns: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let length = fs::metadata(&arguments.path)?.len();
    lancer_memory::limit_process(
        length.saturating_mul(MEMORY_PER_BYTE).saturating_add(MEMORY),
        SECONDS + length / BYTES_PER_SECOND,
    );
    Ok(lancer_data::decode_parquet(&arguments.path, &arguments.columns)?)
}

/// Decodes columns of a Parquet file in another process of this program.
///
/// # Errors
/// How the process ended, if it neither succeeded nor failed with an error: that is met again when the file is read.
pub(crate) fn in_another_process(path: &Path, columns: &[String]) -> Result<(), String> {
    // A program whose file was replaced while it runs cannot start itself; it reads as it is.
    let Ok(program) = env::current_exe() else { return Ok(()) };
    let mut command = Command::new(program);
    command.arg(NAME).arg("--").arg(path).args(columns);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if matches!(status.code(), Some(0 | 1)) => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(_) => Ok(()),
    }
}
