//! Who watches a life: writes down which work begins, and ends it when it is asked to.

use std::{ops::ControlFlow, rc::Rc};

use lancer_evolve::{Progress, Stage};

use super::faults::Engine;

/// Writes down which work begins.
pub(super) struct Watch {
    engine: Rc<Engine>,
}

impl Watch {
    pub(super) fn new(engine: Rc<Engine>) -> Self {
        Self { engine }
    }
}

impl Progress for Watch {
    fn begin(&mut self, iteration: u32, stage: Stage, unit: &'static str, done: usize, total: usize) {
        self.engine.note(&format!("begin {iteration} {} {done} {total} {unit}", stage.as_str()));
    }

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        if lancer_faults::asked_to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end(&mut self) {}

    fn note(&mut self, text: &str) {
        self.engine.note(&format!("note {}", text.replace('\n', " ")));
    }
}
