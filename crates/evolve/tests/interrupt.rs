//! A run that is asked to stop, as by Ctrl-C, in any stage, and then run again, ends with the rows of a run that was never
//! stopped. Until then nothing that is finished lacks anything.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{ops::ControlFlow, path::Path};

use lancer_evolve::{EvolveError, Progress, Recipe, Run, Stage};
use scripted::{
    ScriptedEngines,
    outcome::{assert_same, assert_sound, models, rows},
    recipe,
};

/// Asks to stop at some call in a stage, and from then on.
struct Stopper {
    at: (u32, Stage, usize),
    here: (u32, Stage),
    calls: usize,
    asked: bool,
}

impl Stopper {
    fn new(iteration: u32, stage: Stage, calls: usize) -> Self {
        Self { at: (iteration, stage, calls), here: (0, Stage::Import), calls: 0, asked: false }
    }
}

impl Progress for Stopper {
    fn begin(&mut self, iteration: u32, stage: Stage, _: &'static str, _: usize, _: usize) {
        self.here = (iteration, stage);
    }

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        let (iteration, stage, calls) = self.at;
        if self.here == (iteration, stage) {
            self.calls += 1;
            self.asked |= self.calls > calls;
        }
        if self.asked { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end(&mut self) {}

    fn note(&mut self, _: &str) {}
}

/// Training looks at held-out examples after each step, so that one is always due.
fn watched(folder: &Path) -> Recipe {
    let changes = [
        // A token is a byte here, and a new prompt that is cut off is not used.
        "generate.max_prompt_tokens=200",
        "sft.held_out=0.3",
        "sft.train.evaluate_every=1",
        "preference.held_out=0.3",
        "preference.train.evaluate_every=1",
    ];
    recipe(folder).with(&changes.map(str::to_owned)).unwrap()
}

fn run(folder: &Path, progress: &mut dyn Progress) -> Result<(), EvolveError> {
    Run::open(folder, watched(folder)).unwrap().execute(&mut ScriptedEngines, progress)
}

#[test]
fn an_interrupted_run_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut ()).unwrap();
    let expected = (rows(folder.path()), models(folder.path()));
    let held_out = expected.0.iter().find(|(table, _)| table == "held_out").unwrap();
    assert!(held_out.1.len() > 8, "the scripted run evaluates hardly a held-out example");

    let mut stops = vec![(0, Stage::Import, 0), (0, Stage::Evaluate, 0), (0, Stage::Evaluate, 3)];
    // The stages that are one piece of work ask once, the others for each row and all of what is computed.
    for calls in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
        stops.extend(Stage::ITERATION.map(|stage| (1, stage, calls)));
    }
    stops.extend(Stage::ITERATION.map(|stage| (2, stage, 1)));
    let mut stopped = 0;
    for (iteration, stage, calls) in stops {
        let folder = tempfile::tempdir().unwrap();
        let at = format!("a stop at call {calls} of iteration {iteration}, {stage}");
        match run(folder.path(), &mut Stopper::new(iteration, stage, calls)) {
            // A stage has no more calls than it has.
            Ok(()) => {}
            Err(EvolveError::Interrupted { .. }) => stopped += 1,
            Err(error) => panic!("{error} after {at}"),
        }
        assert_sound(folder.path(), &at);
        run(folder.path(), &mut ()).unwrap();
        assert_same(folder.path(), &expected, &at);
    }
    assert!(stopped > 50, "only {stopped} runs were stopped");
}
