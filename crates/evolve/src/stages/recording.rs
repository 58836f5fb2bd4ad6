//! Keeping a group's rows while an engine works: it can only be told to stop, so that it was is remembered here.

use std::ops::ControlFlow;

use crate::progress::Progress;

/// Where the sinks of a stage put the rows of a group and show what is made.
pub(crate) struct Recording<'a, Row> {
    progress: &'a mut dyn Progress,
    rows: Vec<Row>,
    /// How many rows make the group whole.
    whole: usize,
    interrupted: bool,
}

impl<'a, Row> Recording<'a, Row> {
    pub(crate) fn new(progress: &'a mut dyn Progress, whole: usize) -> Self {
        Self { progress, rows: Vec::with_capacity(whole), whole, interrupted: false }
    }

    /// A row was made.
    pub(crate) fn row(&mut self, row: Row) -> ControlFlow<()> {
        self.rows.push(row);
        self.advance(1, 0)
    }

    /// Tokens went through the model.
    pub(crate) fn tokens(&mut self, tokens: usize) -> ControlFlow<()> {
        self.advance(0, tokens)
    }

    /// The rows, and whether the user has asked to stop.
    pub(crate) fn end(self) -> (Vec<Row>, bool) {
        (self.rows, self.interrupted)
    }

    fn advance(&mut self, units: usize, tokens: usize) -> ControlFlow<()> {
        self.interrupted |= self.progress.advance(units, tokens).is_break();
        // Where all rows are there the engine ends by itself, and the group is kept.
        if self.interrupted && self.rows.len() < self.whole {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
