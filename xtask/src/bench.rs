//! `cargo xtask bench`: measurements against other tools.

mod attacks;
mod data;
mod engines;
mod generate;
mod growth;
mod measure;
mod plot;
mod programs;
mod result;
mod review;
mod rivals;
mod train;
mod turns;

use crate::process::Failure;

/// Rounds of a benchmark unless `--rounds` says otherwise.
const ROUNDS: usize = 5;

/// What is measured.
enum Benchmark {
    /// How far texts that try to set their own score move it.
    Attacks,
    /// Near copies, near-duplicates and scores of `lancer-data`.
    Data,
    /// Engines side by side.
    Engines,
    /// Sampling, against llama.cpp's own programs.
    Generate,
    /// Training by length, batch and model.
    Growth,
    /// A review of pairs, against a llama.cpp server.
    Review,
    /// Fine-tuning and DPO, against TRL.
    Train,
    /// ONNX Runtime in lancer and in Python, in turns.
    Turns,
    /// DPO by length, and activations computed again.
    Variants,
}

impl Benchmark {
    /// Their names, as they are asked for.
    const NAMES: &str = "attacks, data, engines, generate, growth, review, train, turns, variants";

    fn named(name: &str) -> Option<Self> {
        match name {
            "attacks" => Some(Self::Attacks),
            "data" => Some(Self::Data),
            "engines" => Some(Self::Engines),
            "generate" => Some(Self::Generate),
            "growth" => Some(Self::Growth),
            "review" => Some(Self::Review),
            "train" => Some(Self::Train),
            "turns" => Some(Self::Turns),
            "variants" => Some(Self::Variants),
            _ => None,
        }
    }
}

/// Runs the benchmark that the first argument names; the others are for it.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let benchmark = arguments.first().and_then(|name| Benchmark::named(name)).ok_or_else(|| {
        Failure::usage(format!("which benchmark? `cargo xtask bench NAME`, one of: {}", Benchmark::NAMES))
    })?;
    let arguments = &arguments[1..];
    match benchmark {
        Benchmark::Attacks => attacks::run(arguments),
        Benchmark::Data => data::run(rounds(arguments)?),
        Benchmark::Engines => engines::run(rounds(arguments)?),
        Benchmark::Generate => generate::run(rounds(arguments)?),
        Benchmark::Growth => growth::run(rounds(arguments)?),
        Benchmark::Review => {
            let (backends, arguments) = review::backends(arguments)?;
            review::run(rounds(arguments)?, backends)
        }
        Benchmark::Train => train::run(rounds(arguments)?),
        Benchmark::Turns => turns::run(rounds(arguments)?),
        Benchmark::Variants => growth::run_variants(rounds(arguments)?),
    }
}

/// `--rounds N`.
fn rounds(arguments: &[String]) -> Result<usize, Failure> {
    match arguments {
        [] => Ok(ROUNDS),
        [name, count] if name == "--rounds" => count
            .parse()
            .ok()
            .filter(|&count| count > 0)
            .ok_or_else(|| Failure::usage(format!("--rounds takes a number above 0, not {count}"))),
        _ => Err(Failure::usage("this benchmark takes nothing but `--rounds N`")),
    }
}
