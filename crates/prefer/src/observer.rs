//! Who watches a run: progress, records as they are made, and the wish to stop.

use std::ops::ControlFlow;

use crate::{
    checkpoint::Checkpoint,
    record::{EvaluationRecord, StepExample, StepRecord, TrainingPlan},
    set_aside::SetAside,
};

/// Is told what a run does when it has done it, so that it can be shown and stored at once.
///
/// Where a method returns [`ControlFlow::Break`] the run saves a checkpoint and ends as
/// [`Outcome::Interrupted`](crate::Outcome::Interrupted). An observer that fails, because it cannot store a record for
/// example, keeps its error and breaks. All methods do nothing if they are not implemented.
pub trait TrainingObserver {
    /// The examples were encoded and cut into steps. Comes once, before the first step.
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        let _ = plan;
        ControlFlow::Continue(())
    }

    /// The reference log-probabilities of `done` of `total` pairs are there, of both sets together.
    fn referenced(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let _ = (done, total);
        ControlFlow::Continue(())
    }

    /// Within step `step`, `done` of its `total` tokens went through the model. For progress alone: a step that was
    /// begun is made.
    fn advanced(&mut self, step: u64, done: u64, total: u64) {
        let _ = (step, done, total);
    }

    /// Another program trains, and there is nothing new to tell. Comes several times a second, so that the training can be ended
    /// between its steps.
    fn waiting(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The examples of step `step`, which was made; [`stepped`](Self::stepped) follows.
    fn seen(&mut self, step: u64, examples: &[StepExample]) -> ControlFlow<()> {
        let _ = (step, examples);
        ControlFlow::Continue(())
    }

    /// A step was made.
    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        let _ = record;
        ControlFlow::Continue(())
    }

    /// The exact numbers of a step that [`stepped`](Self::stepped) was told less exactly, from a program that trains elsewhere.
    fn step_corrected(&mut self, record: &StepRecord) {
        let _ = record;
    }

    /// The exact numbers of an evaluation that [`evaluated`](Self::evaluated) was told less exactly.
    fn evaluation_corrected(&mut self, record: &EvaluationRecord) {
        let _ = record;
    }

    /// The held-out examples were evaluated.
    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        let _ = record;
        ControlFlow::Continue(())
    }

    /// An example was set aside, since a loss or a gradient with it is not finite. The step is made without it.
    fn set_aside(&mut self, example: &SetAside) -> ControlFlow<()> {
        let _ = example;
        ControlFlow::Continue(())
    }

    /// A checkpoint is written and gets its name next: all that was reported until now must be stored before this
    /// returns, since a run that goes on from the checkpoint does not report it again. [`ControlFlow::Break`] says that it could
    /// not be stored: there is no checkpoint then, and the run ends.
    fn saving(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        let _ = checkpoint;
        ControlFlow::Continue(())
    }

    /// A checkpoint is damaged. The run goes on from an older one, or from the start; the folder has another name now, under
    /// which it stays.
    fn damaged(&mut self, checkpoint: &Checkpoint, reason: &str) {
        let _ = (checkpoint, reason);
    }
}

/// Watches nothing.
impl TrainingObserver for () {}
