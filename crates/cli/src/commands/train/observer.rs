//! What a training shows while it is made.

use std::ops::ControlFlow;

use lancer_prefer::{Checkpoint, EvaluationRecord, SetAside, StepRecord, TrainingObserver, TrainingPlan};

use crate::progress::Bars;

/// Shows a training's steps.
pub(super) struct Observer<'a> {
    pub(super) bars: &'a mut Bars,
}

impl TrainingObserver for Observer<'_> {
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        for note in &plan.notes {
            self.bars.say(&format!("note: {note}"));
        }
        self.bars.start("train".into(), "steps", plan.done as usize, plan.steps as usize);
        self.bars.add(0, 0)
    }

    fn referenced(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        if done == 1 {
            self.bars.start("reference".into(), "pairs", 0, total);
        }
        let flow = self.bars.add(1, 0);
        if done == total {
            self.bars.stop();
        }
        flow
    }

    fn waiting(&mut self) -> ControlFlow<()> {
        self.bars.add(0, 0)
    }

    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.bars.add(1, record.tokens as usize)
    }

    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        self.bars.say(&format!("held-out loss {:.4} after {} steps", record.loss, record.step));
        self.bars.add(0, 0)
    }

    fn set_aside(&mut self, example: &SetAside) -> ControlFlow<()> {
        let SetAside { key, step, reason } = example;
        self.bars.say(&format!("note: {key} is set aside at step {step}: {reason}"));
        self.bars.add(0, 0)
    }

    fn damaged(&mut self, checkpoint: &Checkpoint, reason: &str) {
        self.bars.say(&format!(
            "note: the checkpoint of step {} is damaged and was renamed ({reason}); training goes on from before it",
            checkpoint.step
        ));
    }
}
