//! In place of AMX on other processors than x86-64: nothing, since there is no AMX.

use std::{convert::Infallible, ops::Range};

use gemmkit::bf16;

use crate::{
    fused::{AttentionShape, Reaches, View},
    transformer::Place,
};

/// No product.
pub(crate) fn product(_: View<'_>, _: View<'_>) -> Option<Vec<f32>> {
    None
}

/// A first factor, of nothing.
pub(crate) struct Rows;

impl Rows {
    pub(crate) fn new(_: View<'_>) -> Self {
        Self
    }
}

/// A second factor, of which there is none.
pub(crate) struct Columns(Infallible);

impl Columns {
    pub(crate) fn new(_: View<'_>) -> Option<Self> {
        None
    }

    pub(crate) fn column(&self, _: usize) -> std::iter::Empty<bf16> {
        match self.0 {}
    }
}

/// Moves nothing.
pub(crate) fn gather(_: Vec<&mut Columns>) {}

/// No products.
pub(crate) fn products<const N: usize>(_: &Rows, others: [(&Columns, Range<usize>); N]) -> [Vec<f32>; N] {
    others.map(|(other, _)| match other.0 {})
}

/// Keys and values, of which there are none.
pub(crate) struct KeysValues(Infallible);

impl KeysValues {
    pub(crate) fn new(_: usize, _: usize) -> Option<Self> {
        None
    }

    pub(crate) fn reserve(&mut self, _: usize) {
        match self.0 {}
    }

    pub(crate) fn write(&mut self, _: &[f32], _: &[f32], _: &[Place]) {
        match self.0 {}
    }

    pub(crate) fn attend(&self, _: &[f32], _: AttentionShape, _: &Reaches) -> Vec<f32> {
        match self.0 {}
    }
}
