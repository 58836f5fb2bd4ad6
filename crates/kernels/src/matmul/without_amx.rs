//! Takes the place of AMX on other processors than x86-64, which have none.

use std::{convert::Infallible, ops::Range};

use super::rounded::RoundedView;
use crate::bf16::bf16;

/// There is never a product.
pub(crate) fn product(_: RoundedView<'_>, _: RoundedView<'_>) -> Option<Vec<f32>> {
    None
}

/// An empty first factor.
pub(crate) struct Rows;

impl Rows {
    pub(crate) fn new(_: RoundedView<'_>) -> Self {
        Self
    }
}

/// A second factor, which never exists.
pub(crate) struct Columns(Infallible);

impl Columns {
    pub(crate) fn new(_: RoundedView<'_>) -> Option<Self> {
        None
    }

    pub(crate) fn column(&self, _: usize) -> std::iter::Empty<bf16> {
        match self.0 {}
    }
}

/// Moves nothing.
pub(crate) fn gather(_: Vec<&mut Columns>) {}

/// There are never products.
pub(crate) fn products<const N: usize>(_: &Rows, others: [(&Columns, Range<usize>); N]) -> [Vec<f32>; N] {
    others.map(|(other, _)| match other.0 {})
}
