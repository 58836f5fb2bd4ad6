//! Drawing at random from a seed.

use lancer_backend::Seed;

/// Draws one thing after the other; the same seed gives the same things.
pub(crate) struct Draw {
    seed: Seed,
    drawn: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64, what: &str) -> Self {
        Self { seed: Seed(seed).derive(what), drawn: 0 }
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        self.drawn += 1;
        self.seed.derive(&self.drawn.to_string()).0
    }

    /// A number below `end`; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// One of these, which are not none.
    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A number below `end`, often a small one: what comes early in a life is reached in every life.
    pub(crate) fn early(&mut self, end: u64) -> u64 {
        let shrink = self.one(&[1, 1, 2, 4, 16]);
        self.below((end / shrink).max(1))
    }
}
