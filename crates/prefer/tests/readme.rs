//! The project's README shows the example that is tested as a part of this crate's.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path};

/// The first example in Rust.
fn example(file: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    text.split("```rust\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn the_projects_readme_has_the_same_example() {
    assert_eq!(example("../../README.md"), example("README.md"));
}
