//! The rotary embedding of tensors ([`lancer_kernels::rotary`]).

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData};
use lancer_kernels::rotary;
use lancer_model::Rotary;

pub(crate) use lancer_kernels::rotary::Direction;

use crate::numbers::{Floats, compact, slice_mut};

/// The rotary table of the rows of a pass, in this program's memory and, once it is asked for, on the model's device.
#[derive(Debug)]
pub(crate) struct RotaryTable {
    table: rotary::RotaryTable,
    tensors: OnceLock<[Tensor<3>; 2]>,
}

impl RotaryTable {
    /// The table of rows at these positions.
    pub(crate) fn new(rotary: &Rotary, head_dim: usize, positions: &[usize]) -> Self {
        let table = rotary::RotaryTable::new(&rotary.frequencies(head_dim), positions);
        Self { table, tensors: OnceLock::new() }
    }

    /// The cosines and sines as tensors `[rows, 1, head_dim / 2]` of the model's device, which are made once.
    pub(crate) fn tensors(&self, device: &Device) -> [Tensor<3>; 2] {
        let half = self.table.half();
        let tensor = |numbers: &[f32]| {
            let rows = numbers.len() / half;
            Tensor::from_data(TensorData::new(numbers.to_vec(), [rows, 1, half]), device)
        };
        self.tensors.get_or_init(|| self.table.tables().map(tensor)).clone()
    }
}

/// Rotates the heads of each row of `[rows, heads · head_dim]`, in place where nothing else holds them.
pub(super) fn rotate(states: Floats, table: &RotaryTable, direction: Direction) -> Floats {
    let mut states = compact(states);
    table.table.rotate(slice_mut(&mut states), direction);
    states
}
