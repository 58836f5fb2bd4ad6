//! `cargo xtask bench`: measurements against other tools, written into docs/.

mod data;

use crate::process::Failure;

/// What is measured.
enum Benchmark {
    /// Near copies, near-duplicates and scores of `lancer-data`.
    Data,
}

impl Benchmark {
    /// Their names, as they are asked for.
    const NAMES: &str = "data";

    fn named(name: &str) -> Option<Self> {
        match name {
            "data" => Some(Self::Data),
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
        Benchmark::Data => data::run(&arguments[1..]),
    }
}
