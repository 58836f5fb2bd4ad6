//! `cargo xtask bench data`: how the time that near copies take grows with the number of texts.

use std::{env, ffi::OsString, process::Command};

use crate::{
    process::{Failure, output, run as run_program},
    setup::{root, target_folder},
};

/// Numbers of texts that are tried.
const COUNTS: [usize; 2] = [1_000, 3_000];

/// Builds the example that measures, makes its inputs, and prints what it found.
pub(crate) fn run(_arguments: &[String]) -> Result<(), Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run_program(Command::new(cargo).current_dir(root()).env("CARGO_TARGET_DIR", target_folder()).args([
        "build",
        "--release",
        "--package",
        "lancer-data",
        "--example",
        "scale",
    ]))?;
    let scale = target_folder().join("release/examples/scale");
    let texts = root().join("../shared/data");
    for count in COUNTS {
        let path = target_folder().join(format!("bench-prompts-{count}.jsonl"));
        let made: [OsString; 4] =
            ["prompts".into(), texts.clone().into(), count.to_string().into(), path.clone().into()];
        for arguments in
            [&made[..], &["near".into(), "rouge".into(), "any".into(), "0.7".into(), path.into()]]
        {
            let printed = output(Command::new(&scale).args(arguments));
            println!("{}", printed.ok_or_else(|| Failure::new(format!("{} failed", scale.display())))?);
        }
    }
    Ok(())
}
