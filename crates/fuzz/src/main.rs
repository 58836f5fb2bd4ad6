//! Files that are not what they should be, given to everything that reads files: `cargo xtask fuzz`.
//!
//! Each target is a function over bytes ([`targets`]). Inputs are made from the fixtures and the kept corpus by changes that
//! know the format ([`mutate`]). They are run in a process of its own ([`worker`]) whose memory and time are limited, and
//! which is watched ([`watch`]): one that ends it, or takes too long, is a finding and is kept as a file.

mod mutate;
mod outcome;
mod targets;
mod watch;
mod worker;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use crate::watch::{Length, Plan};

const USAGE: &str = "\
Usage: lancer-fuzz [TARGET...] [--minutes N | --runs N] [--seed N]   try inputs until so much of the processor's time
                                                              is used or the runs are over, for each target
       lancer-fuzz --files TARGET FILE...                            try these files and say what becomes of each
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(reason) => {
            eprint!("error: {reason}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, String> {
    match arguments.first().map(String::as_str) {
        Some(worker::NAME) => worker::run(&arguments[1..]),
        Some(targets::PARQUET_TRIAL) => Ok(targets::decode_parquet(&arguments[1..])),
        Some("--files") => {
            let [_, target, files @ ..] = arguments else {
                return Err("a target and files are needed".into());
            };
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            watch::files(targets::named(target)?, &files)
        }
        _ => watch::targets(&plan(arguments)?),
    }
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan { targets: Vec::new(), length: Length::Time(Duration::from_mins(1)), seed: 1 };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|number| number.parse::<f64>().ok());
            number.filter(|number| *number >= 0.0).ok_or_else(|| format!("`{argument}` needs a number"))
        };
        match argument.as_str() {
            "--minutes" => plan.length = Length::Time(Duration::from_secs_f64(60.0 * number()?)),
            "--runs" => plan.length = Length::Runs(number()? as u64),
            "--seed" => plan.seed = number()? as u64,
            name => plan.targets.push(targets::named(name)?),
        }
    }
    if plan.targets.is_empty() {
        plan.targets = targets::ALL.iter().collect();
    }
    Ok(plan)
}
