//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), in Hugging Face's layout: a head's number `i` and number
//! `i + head_dim / 2` are turned together. The derivative turns back.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData};
use lancer_model::Rotary;
use rayon::prelude::*;

use super::CHUNK;
use crate::numbers::{Floats, compact, slice_mut};

/// The turn of each row of a pass.
#[derive(Debug)]
pub(crate) struct Turns {
    /// `[rows, head_dim / 2]`.
    cosine: Vec<f32>,
    sine: Vec<f32>,
    half: usize,
    tables: OnceLock<[Tensor<3>; 2]>,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

impl Turns {
    /// The turns of rows at these positions.
    pub(crate) fn new(rotary: &Rotary, head_dim: usize, positions: &[usize]) -> Self {
        let frequencies = rotary.frequencies(head_dim);
        let table = |of: fn(f32) -> f32| {
            let angles = positions
                .iter()
                .flat_map(|&position| frequencies.iter().map(move |&frequency| position as f32 * frequency));
            angles.map(of).collect()
        };
        Self { cosine: table(f32::cos), sine: table(f32::sin), half: head_dim / 2, tables: OnceLock::new() }
    }

    /// The cosines and sines as tensors `[rows, 1, head_dim / 2]` of the model's device, which are made once.
    pub(crate) fn tables(&self, device: &Device) -> [Tensor<3>; 2] {
        let table = |numbers: &[f32]| {
            let rows = numbers.len() / self.half;
            Tensor::from_data(TensorData::new(numbers.to_vec(), [rows, 1, self.half]), device)
        };
        self.tables.get_or_init(|| [table(&self.cosine), table(&self.sine)]).clone()
    }
}

/// Turns the heads of each row of `[rows, heads · head_dim]`, in place where nothing else holds them.
pub(super) fn turn(states: Floats, turns: &Turns, direction: Direction) -> Floats {
    let mut states = compact(states);
    let half = turns.half;
    let rows = turns.cosine.len() / half;
    let numbers = slice_mut(&mut states);
    let width = numbers.len() / rows;
    let sign = match direction {
        Direction::Forward => 1.0,
        Direction::Back => -1.0,
    };
    let at_once = (CHUNK / width).max(1);
    numbers
        .par_chunks_mut(at_once * width)
        .zip(turns.cosine.par_chunks(at_once * half))
        .zip(turns.sine.par_chunks(at_once * half))
        .for_each(|((numbers, cosine), sine)| {
            let tables = cosine.chunks_exact(half).zip(sine.chunks_exact(half));
            for (row, (cosine, sine)) in numbers.chunks_exact_mut(width).zip(tables) {
                for head in row.chunks_exact_mut(2 * half) {
                    let (first, second) = head.split_at_mut(half);
                    let pairs = first.iter_mut().zip(second).zip(cosine.iter().zip(sine));
                    for ((first, second), (cosine, sine)) in pairs {
                        let sine = sine * sign;
                        (*first, *second) =
                            (*first * cosine - *second * sine, *second * cosine + *first * sine);
                    }
                }
            }
        });
    states
}
