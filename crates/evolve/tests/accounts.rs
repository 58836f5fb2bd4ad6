//! What a run has spent is in its rows: a budget holds however often the run was stopped.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{ops::ControlFlow, path::Path};

use lancer_evolve::{
    EvolveError, Progress, Recipe, Run, Stage, Summary,
    ledger::{Ledger, Timing},
};
use scripted::{ScriptedEngines, recipe};

/// Ends the run at the first call in which something was done, in each stage that it has not ended it in yet.
struct StopInEach {
    stopped: Vec<(u32, Stage)>,
    here: (u32, Stage),
}

impl Progress for StopInEach {
    fn begin(&mut self, iteration: u32, stage: Stage, _: &'static str, _: usize, _: usize) {
        self.here = (iteration, stage);
    }

    fn advance(&mut self, units: usize, _: usize) -> ControlFlow<()> {
        if units == 0 || self.stopped.contains(&self.here) {
            return ControlFlow::Continue(());
        }
        self.stopped.push(self.here);
        ControlFlow::Break(())
    }

    fn end(&mut self) {}

    fn note(&mut self, _: &str) {}
}

fn recipe_with(folder: &Path, budget: Option<u64>) -> Recipe {
    Recipe { iterations: 4, budget_tokens: budget, ..recipe(folder) }
}

/// Runs to the end, and says how often that took another start.
fn run(folder: &Path, budget: Option<u64>, progress: &mut dyn Progress) -> usize {
    for starts in 0.. {
        let run = Run::open(folder, recipe_with(folder, budget)).unwrap();
        match run.execute(&mut ScriptedEngines, progress) {
            Ok(()) => return starts,
            Err(EvolveError::Interrupted { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the loop ends where the run does")
}

fn timings(folder: &Path) -> Vec<Timing> {
    Ledger::read(&folder.join(Run::LEDGER)).unwrap().timings().unwrap()
}

fn spent(folder: &Path, iteration: u32) -> u64 {
    let timings = timings(folder);
    let counted =
        timings.iter().filter(|timing| timing.iteration == iteration && timing.stage != Stage::Evaluate);
    counted.map(|timing| timing.usage.generated + timing.trained).sum()
}

#[test]
fn a_run_that_was_stopped_in_every_stage_has_spent_what_one_that_was_not_has() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [whole, stopped] = folders.each_ref().map(tempfile::TempDir::path);
    run(whole, Some(1), &mut ());
    let budget = spent(whole, 1) * 3 / 2;
    assert!(spent(whole, 1) > 0);
    // Room for one iteration and a half: one is made, however often it was stopped.
    let mut stop = StopInEach { stopped: Vec::new(), here: (0, Stage::Import) };
    let starts = run(stopped, Some(budget), &mut stop);
    assert!(starts >= 8, "{:?}", stop.stopped);
    let ledger = Ledger::read(&stopped.join(Run::LEDGER)).unwrap();
    assert_eq!(ledger.finished_iterations().unwrap(), Some(1));
    assert_eq!(Summary::of(&ledger, stopped).unwrap().planned, 1);
    let tokens = |folder: &Path| -> Vec<(u32, Stage, u64, u64)> {
        let timings = timings(folder);
        timings.iter().map(|one| (one.iteration, one.stage, one.usage.generated, one.trained)).collect()
    };
    assert_eq!(tokens(stopped), tokens(whole));
}
