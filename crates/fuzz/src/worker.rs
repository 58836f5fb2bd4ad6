//! The process that runs inputs, one after the other, within limits of memory.
//!
//! Each input stands in a file before it is run, and its number in another, so that whoever watches knows which it was.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rand::seq::IndexedRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    mutate,
    outcome::Outcome,
    targets::{self, Target},
};

/// The first argument of a worker.
pub(crate) const NAME: &str = "--worker";
/// In the folder of a worker: the input being run, its number, and the number of kinds of outcomes seen.
pub(crate) const INPUT: &str = "input";
pub(crate) const NUMBER: &str = "number";
pub(crate) const KINDS: &str = "kinds";

/// The inputs from which others are made, at most.
const MOST_KEPT: usize = 4000;
/// Of these, inputs that were refused.
const MOST_REFUSED: usize = 200;
/// No process of a worker runs for longer: what it leaks ends with it.
const SECONDS: u64 = 3600;

/// Runs inputs `from` to `to`: `TARGET FOLDER SEED FROM TO`, or the files: `TARGET FOLDER files FILE...`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let [target, folder, rest @ ..] = arguments else { return Err("no worker".into()) };
    let (target, folder) = (targets::named(target)?, PathBuf::from(folder));
    lancer_memory::limit_process(target.memory, SECONDS);
    (target.prepare)();
    if let [first, files @ ..] = rest
        && first == "files"
    {
        return Ok(run_files(target, &folder, files));
    }
    let numbers: Vec<u64> = rest.iter().filter_map(|number| number.parse().ok()).collect();
    let [seed, from, to] = numbers[..] else { return Err("no worker".into()) };
    run_made(target, &folder, seed, from..to);
    Ok(ExitCode::SUCCESS)
}

fn run_made(target: &Target, folder: &Path, seed: u64, numbers: std::ops::Range<u64>) {
    let mut kept = targets::seeds(target);
    let seeds = kept.len() as u64;
    let (mut kinds, mut refused) = (HashSet::new(), 0);
    for number in numbers {
        // An input follows from the seed, its number, and what the worker has kept.
        let mut random =
            ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let input = if number < seeds {
            // First the seeds as they are.
            kept[number as usize].clone()
        } else {
            let base = kept.choose(&mut random).cloned().unwrap_or_default();
            let other = kept.choose(&mut random).cloned().unwrap_or_default();
            mutate::changed(target.format, base, &other, &mut random)
        };
        write(&folder.join(INPUT), &input);
        write_number(&folder.join(NUMBER), number);
        let outcome = (target.run)(&input, folder);
        if kinds.insert(outcome.kind()) {
            write(&folder.join(KINDS), kinds.len().to_string().as_bytes());
            let is_refused = matches!(outcome, Outcome::Refused(_));
            refused += usize::from(is_refused);
            // What is refused early leads to little else.
            if kept.len() < MOST_KEPT && (!is_refused || refused <= MOST_REFUSED) {
                kept.push(input);
            }
        }
    }
}

fn run_files(target: &Target, folder: &Path, files: &[String]) -> ExitCode {
    for file in files {
        let input = match fs::read(file) {
            Ok(input) => input,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        println!("{file}: {:?}", (target.run)(&input, folder));
    }
    ExitCode::SUCCESS
}

/// Writes a number over the last one, so that there is one whenever this process is ended.
fn write_number(path: &Path, number: u64) {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    let written = file.and_then(|mut file| file.write_all(format!("{number:020}").as_bytes()));
    if let Err(error) = written {
        eprintln!("cannot write {}: {error}", path.display());
    }
}

fn write(path: &Path, bytes: &[u8]) {
    if let Err(error) = fs::write(path, bytes) {
        eprintln!("cannot write {}: {error}", path.display());
    }
}
