//! Rows of a matrix that are looked up, one after another, and the sums that come back to them.

use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor};
use lancer_backend::TokenId;

use super::tensor;
use crate::numbers::{Floats, compact, indices, slice};

/// Which rows, some of them perhaps several times; `None` stands for padding, of which nothing comes back.
#[derive(Debug)]
pub(crate) struct Lookup {
    all: Vec<Option<usize>>,
    lists: OnceLock<Lists>,
}

/// The same as tensors of a device.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    /// The row at each place, the first for padding.
    pub(crate) rows: Tensor<1, Int>,
    /// The places again, those of the same row one after another.
    pub(crate) places: Tensor<1, Int>,
    /// Of each row that is looked up: the row, where its places begin, and where they end, `[3 · rows]`.
    pub(crate) sums: Tensor<1, Int>,
    /// How many rows those are.
    pub(crate) distinct: usize,
}

impl Lookup {
    pub(crate) fn new(rows: impl IntoIterator<Item = Option<usize>>) -> Self {
        Self { all: rows.into_iter().collect(), lists: OnceLock::new() }
    }

    /// Those of an embedding.
    pub(crate) fn of(tokens: &[TokenId]) -> Self {
        Self::new(tokens.iter().map(|token| Some(token.0 as usize)))
    }

    /// Adds what comes back, a row of `width` numbers for each that was looked up, to the rows of `sums`.
    pub(crate) fn add_back(&self, sums: &mut [f32], by_rows: &[f32], width: usize) {
        for (row, by_row) in self.all.iter().zip(by_rows.chunks_exact(width)) {
            let Some(row) = row else { continue };
            for (sum, by_row) in sums[row * width..][..width].iter_mut().zip(by_row) {
                *sum += by_row;
            }
        }
    }

    /// As tensors of the model's device, which are made once.
    pub(crate) fn lists(&self, device: &Device) -> &Lists {
        self.lists.get_or_init(|| {
            let looked_up =
                self.all.iter().enumerate().filter_map(|(place, row)| row.map(|row| (row, place)));
            let mut places: Vec<(usize, usize)> = looked_up.collect();
            places.sort_unstable();
            let mut sums: Vec<usize> = Vec::new();
            for of_row in places.chunk_by(|(one, _), (other, _)| one == other) {
                let start = sums.last().copied().unwrap_or(0);
                sums.extend([of_row[0].0, start, start + of_row.len()]);
            }
            Lists {
                rows: indices(self.all.iter().map(|row| row.unwrap_or(0)), device),
                places: indices(places.iter().map(|&(_, place)| place), device),
                distinct: sums.len() / 3,
                sums: indices(sums, device),
            }
        })
    }
}

pub(super) fn forward(states: Floats, lookup: &Lookup) -> Floats {
    let states = compact(states);
    let width = states.layout().shape()[1];
    let numbers = slice(&states);
    let mut found = Vec::with_capacity(lookup.all.len() * width);
    for row in &lookup.all {
        found.extend_from_slice(&numbers[row.unwrap_or(0) * width..][..width]);
    }
    tensor(found, [lookup.all.len(), width])
}

/// The gradient by `count` rows.
pub(super) fn backward(by_output: Floats, lookup: &Lookup, count: usize) -> Floats {
    let by_output = compact(by_output);
    let width = by_output.layout().shape()[1];
    let mut sums = vec![0.0; count * width];
    lookup.add_back(&mut sums, slice(&by_output), width);
    tensor(sums, [count, width])
}
