//! Running the built binary.

#![allow(dead_code, reason = "each test file uses a part")]

use std::process::{Command, Output};

/// A tiny Llama.
pub(crate) const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-llama");

/// Runs `lancer` to its end.
pub(crate) fn lancer(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// `lancer`, to be run.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lancer"));
    command.args(arguments);
    command
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
