//! Who watches a run.

use std::ops::ControlFlow;

use crate::stage::Stage;

/// Is told how a run gets on, to show it, and can end it.
pub trait Progress {
    /// Work begins: `total` units of it (`unit` names them), of which `done` are there from an earlier session.
    fn begin(&mut self, iteration: u32, stage: Stage, unit: &'static str, done: usize, total: usize);

    /// `units` more are done, and `tokens` more tokens went through the model. Called often; `Break` interrupts the run.
    fn advance(&mut self, units: usize, tokens: usize) -> ControlFlow<()>;

    /// The work that was begun last has ended.
    fn end(&mut self);

    /// Something a user should know.
    fn note(&mut self, text: &str);
}

/// Watches nothing.
impl Progress for () {
    fn begin(&mut self, _: u32, _: Stage, _: &'static str, _: usize, _: usize) {}

    fn advance(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self) {}

    fn note(&mut self, _: &str) {}
}
