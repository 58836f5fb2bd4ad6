//! `cargo xtask bench`: measurements against other tools, written into docs/.

mod engines;

use crate::process::Failure;

/// What is measured.
enum Benchmark {
    /// Engines side by side.
    Engines,
}

impl Benchmark {
    /// Their names, as they are asked for.
    const NAMES: &str = "engines";

    fn named(name: &str) -> Option<Self> {
        match name {
            "engines" => Some(Self::Engines),
            _ => None,
        }
    }
}

/// Runs the benchmark that the first argument names; the others are for it.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let benchmark = arguments.first().and_then(|name| Benchmark::named(name)).ok_or_else(|| {
        Failure::usage(format!("which benchmark? `cargo xtask bench NAME`, one of: {}", Benchmark::NAMES))
    })?;
    match benchmark {
        Benchmark::Engines => engines::run(&arguments[1..]),
    }
}
