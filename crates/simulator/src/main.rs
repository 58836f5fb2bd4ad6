//! `torture`: runs that are killed, starved and lied to, and must come to the same end as one that was left alone.
//!
//! A run is drawn from a seed: its recipe, the troubles of its first lives, the time that an answer takes. Each life is a process
//! of its own (`torture life`), into whose system calls `lancer-faults` puts the faults. After each life what must hold is
//! checked, and at the end every table and every file is compared with an uninterrupted run's. docs/lab/torture.md says
//! more.

mod binary;
mod course;
mod damage;
mod draw;
mod ending;
mod findings;
mod folder;
mod incident;
mod invariant;
mod ledger;
mod life;
mod options;
mod power;
mod process;
mod reference;
mod world;

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [word, inputs, folder, world] = arguments.as_slice()
        && word == "life"
    {
        return match world.parse() {
            Ok(world) => life::run(Path::new(inputs), Path::new(folder), world),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        };
    }
    match options::Options::read(&arguments) {
        Ok(options) => match &options.binary {
            Some(program) => binary::run(program, &options),
            None => findings::run(&options),
        },
        Err(usage) => {
            eprint!("{usage}");
            ExitCode::from(2)
        }
    }
}
