//! Time, counted where rows are written, so that a kill loses no more of it than of the rows.

use std::{cell::Cell, time::Instant};

/// How long it is since time was last counted.
#[derive(Debug)]
pub(crate) struct Laps(Cell<Instant>);

impl Laps {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self(Cell::new(Instant::now()))
    }

    /// The seconds since the last call, or since the beginning.
    pub(crate) fn lap(&self) -> f64 {
        let now = Instant::now();
        now.duration_since(self.0.replace(now)).as_secs_f64()
    }
}
