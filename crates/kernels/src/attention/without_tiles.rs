//! Takes the place of keys and values in AMX's tiles on other processors than x86-64, which have none.

use std::convert::Infallible;

use super::{AttentionShape, PageBlock};

/// Keys and values in tiles, which never exist.
pub struct TiledKeysValues(Infallible);

impl TiledKeysValues {
    /// There are never tiles.
    pub fn new(_: usize, _: usize) -> Option<Self> {
        None
    }

    /// Makes no room.
    pub fn reserve(&mut self, _: usize) {
        match self.0 {}
    }

    /// Writes nothing.
    pub fn write(&mut self, _: &[f32], _: &[f32], _: Vec<(usize, usize)>) {
        match self.0 {}
    }

    /// There is no output.
    pub fn attend<'a>(
        &self,
        _: &[f32],
        _: AttentionShape,
        _: impl FnOnce(usize) -> &'a [PageBlock],
    ) -> Vec<f32> {
        match self.0 {}
    }
}
