//! One life of a run: a process that opens the run and takes it as far as its faults let it.

mod engines;
mod faults;
mod learner;
mod watch;

use std::{env, error::Error, path::Path, process::ExitCode, rc::Rc};

use lancer_evolve::{EvolveError, Run, write_report};

use self::{engines::ScriptedEngines, faults::Engine, watch::Watch};
use crate::world::World;

pub(crate) use self::engines::write_first_model;
pub(crate) use self::faults::{EngineAction, EngineFault, EnginePoint};

/// The environment variables of a life: what goes wrong in its engines, how many microseconds each of their answers takes, and
/// where it writes down what they do.
pub(crate) const ENGINE_FAULT: &str = "LANCER_LIFE_ENGINE_FAULT";
pub(crate) const TICK: &str = "LANCER_LIFE_TICK";
pub(crate) const WORK: &str = "LANCER_LIFE_WORK";

/// Takes the run in `folder` through the stages that are left, and ends as the program `lancer` does: 0 when it is finished,
/// 130 when it was asked to stop, 1 with the reasons when it failed.
pub(crate) fn run(inputs: &Path, folder: &Path, world: World) -> ExitCode {
    lancer_faults::install();
    lancer_faults::watch_signals();
    match evolve(inputs, folder, world) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::from(if matches!(error, EvolveError::Interrupted { .. }) { 130 } else { 1 })
        }
    }
}

fn evolve(inputs: &Path, folder: &Path, world: World) -> Result<(), EvolveError> {
    let engine = Rc::new(Engine::from_environment());
    let mut engines = ScriptedEngines::new(Rc::clone(&engine), world);
    let recipe = world.recipe(inputs)?;
    recipe.check_learners(&engines)?;
    let run = Run::open(folder, recipe)?;
    let result = run.execute(&mut engines, &mut Watch::new(engine));
    // As the program does: a report of what there is, and the first failure is the one to be told.
    let report = write_report(run.ledger(), run.folder());
    result?;
    report.map(|_| ())
}

/// The value of an environment variable, if it is there and can be read.
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}
