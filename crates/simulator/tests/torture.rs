//! Three hundred runs with everything that can go wrong.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::process::Command;

#[test]
fn three_hundred_runs_come_to_the_end_of_one_that_was_left_alone() {
    if !lancer_faults::IS_SUPPORTED {
        lancer_skipped::skip!("faults in system calls need Linux on x86-64");
        return;
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_torture")).args(["--runs", "300", "--seed", "0"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("300 runs"), "{text}");
}
