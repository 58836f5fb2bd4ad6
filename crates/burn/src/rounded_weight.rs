//! A weight matrix for inference, kept in bf16 and never in 32-bit floats.
//!
//! On processors with AMX it stands in the tiles that the unit multiplies, and the states are rounded to bf16 too. On others
//! each thread widens as many outputs' weights as stay in its cache and multiplies 32-bit floats, so that only half as much comes
//! from memory; the states are not rounded.

use std::{cell::OnceCell, ops::Range};

use burn::tensor::{Device, Tensor};
use gemmkit::bf16;
use lancer_backend::Seed;
use rayon::prelude::*;

use crate::{
    amx,
    fused::{Factor, View, round, widen},
    numbers::{Floats, matrix, primitive, slice},
    pieces::pieces,
};
use lancer_kernels::{Matrix, MatrixMut, Write, multiply};

/// Weights that a thread widens at a time: 512 KB of 32-bit floats.
const WIDENED: usize = 1 << 17;

/// A weight matrix `[output, input]`, rounded.
pub(crate) struct RoundedWeight {
    inputs: usize,
    outputs: usize,
    numbers: Numbers,
}

enum Numbers {
    Tiles(amx::Columns),
    /// `[output, input]`.
    Plain(Vec<bf16>),
}

/// States `[rows, inputs]` that are multiplied by several matrices.
pub(crate) struct States {
    numbers: Floats,
    tiles: OnceCell<amx::Rows>,
}

impl RoundedWeight {
    /// Rounds `weights: [outputs, inputs]`, which have this name.
    ///
    /// A weight between two numbers of bf16 becomes one of them by chance, the nearer the likelier (Gupta et al. 2015, arXiv
    /// 1502.02551), and the same one each time. Most models are published in bf16, and training moves most weights by less
    /// than half a step: rounded to the nearest they would come out as they were before.
    pub(crate) fn new(name: &str, weights: &[f32], [outputs, inputs]: [usize; 2]) -> Self {
        assert_eq!(weights.len(), outputs * inputs, "a matrix of {outputs} × {inputs} weights");
        let seed = Seed(0).derive(name).0;
        let mut rounded = vec![bf16::ZERO; weights.len()];
        rounded.par_iter_mut().zip(weights).enumerate().for_each(|(place, (rounded, &weight))| {
            *rounded = round_by_chance(weight, seed.wrapping_add(place as u64));
        });
        let view = View { numbers: &rounded, rows: outputs, columns: inputs, strides: [inputs, 1] };
        let numbers = match amx::Columns::new(view.transposed()) {
            Some(tiles) => Numbers::Tiles(tiles),
            None => Numbers::Plain(rounded),
        };
        Self { inputs, outputs, numbers }
    }

    /// Moves weights to where reading them is fastest, all of a model at once.
    pub(crate) fn gather<'a>(weights: impl Iterator<Item = &'a mut Self>) {
        let tiles = weights.filter_map(|weight| match &mut weight.numbers {
            Numbers::Tiles(tiles) => Some(tiles),
            Numbers::Plain(_) => None,
        });
        amx::gather(tiles.collect());
    }

    /// Number of weights.
    pub(crate) fn size(&self) -> usize {
        self.outputs * self.inputs
    }

    /// Number of outputs; those of an embedding are tokens.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x Wᵀ: [rows, outputs]` for several weights; threads are started once for all.
    pub(crate) fn products<const N: usize>(weights: [&Self; N], states: &States) -> [Tensor<2>; N] {
        let rows = states.rows();
        let tiles = weights.iter().filter_map(|weight| match &weight.numbers {
            Numbers::Tiles(tiles) => Some((tiles, 0..weight.outputs)),
            Numbers::Plain(_) => None,
        });
        if let Ok(tiles) = <[_; N]>::try_from(tiles.collect::<Vec<_>>()) {
            let mut outputs = amx::products(states.tiles(), tiles).into_iter();
            return weights.map(|weight| {
                matrix(outputs.next().unwrap_or_default(), [rows, weight.outputs], &Device::flex())
            });
        }
        weights.map(|weight| weight.product_of(states, 0..weight.outputs))
    }

    /// Some outputs of the product with one, the first a multiple of 32.
    pub(crate) fn product_of(&self, states: &States, outputs: Range<usize>) -> Tensor<2> {
        let shape = [states.rows(), outputs.len()];
        let numbers = match &self.numbers {
            Numbers::Tiles(weights) => {
                let [output] = amx::products(states.tiles(), [(weights, outputs)]);
                output
            }
            Numbers::Plain(weights) => {
                let weights = &weights[outputs.start * self.inputs..outputs.end * self.inputs];
                product_of_plain(slice(&states.numbers), weights, [shape[0], self.inputs, shape[1]])
            }
        };
        matrix(numbers, shape, &Device::flex())
    }

    /// The weights of some outputs, `[outputs, inputs]`.
    pub(crate) fn rows_of(&self, outputs: impl ExactSizeIterator<Item = usize>) -> Tensor<2> {
        let shape = [outputs.len(), self.inputs];
        let mut rows = Vec::with_capacity(shape[0] * shape[1]);
        for output in outputs {
            match &self.numbers {
                Numbers::Tiles(weights) => rows.extend(weights.column(output).map(widen)),
                Numbers::Plain(weights) => {
                    rows.extend(weights[output * self.inputs..][..self.inputs].iter().copied().map(widen));
                }
            }
        }
        matrix(rows, shape, &Device::flex())
    }
}

impl States {
    /// Takes over states that stand in this program's memory, outside of autodiff.
    pub(crate) fn new(states: Tensor<2>) -> Self {
        Self { numbers: primitive(states), tiles: OnceCell::new() }
    }

    fn rows(&self) -> usize {
        self.numbers.layout().shape()[0]
    }

    fn tiles(&self) -> &amx::Rows {
        self.tiles.get_or_init(|| amx::Rows::new(Factor::new(self.numbers.clone()).plain()))
    }
}

/// `x Wᵀ` for `x: [rows, inputs]` and `W: [outputs, inputs]`, rows first.
fn product_of_plain(states: &[f32], weights: &[bf16], [rows, inputs, outputs]: [usize; 3]) -> Vec<f32> {
    let mut product = vec![0.0; rows * outputs];
    if product.is_empty() || inputs == 0 {
        return product;
    }
    let of_thread = outputs.div_ceil(2 * rayon::current_num_threads());
    let at_once = (WIDENED / inputs).min(of_thread).max(1);
    pieces(&mut product, outputs, [rows, at_once]).into_par_iter().for_each(|piece| {
        let width = piece.columns();
        let weights = &weights[piece.first_column * inputs..][..width * inputs];
        let widened: Vec<f32> = weights.iter().copied().map(widen).collect();
        let mut output = vec![0.0; rows * width];
        multiply(
            Matrix::new(states, [rows, inputs], inputs),
            Matrix::new(&widened, [width, inputs], inputs).transposed(),
            MatrixMut::new(&mut output, [rows, width], width),
            Write::Over,
        );
        for (row, output) in piece.rows.into_iter().zip(output.chunks_exact(width)) {
            row.copy_from_slice(output);
        }
    });
    product
}

/// One of the two numbers of bf16 that a weight is between, the nearer the likelier; `place` decides.
fn round_by_chance(weight: f32, place: u64) -> bf16 {
    let bits = weight.to_bits();
    if bits.trailing_zeros() >= 16 {
        return bf16::from_bits((bits >> 16) as u16);
    }
    if !weight.is_finite() {
        return round(weight);
    }
    // SplitMix64 (Steele, Lea & Flood 2014).
    let mut chance = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    chance = (chance ^ (chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    chance = (chance ^ (chance >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let up = ((chance ^ (chance >> 31)) >> 48) as u32;
    let rounded = f32::from_bits((bits + up) & 0xffff_0000);
    // The largest numbers would become infinite.
    if rounded.is_finite() {
        bf16::from_bits((rounded.to_bits() >> 16) as u16)
    } else {
        bf16::from_bits((bits >> 16) as u16)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::numbers::{to_vec, waves};

    /// What `Σ x w` is of rounded weights, and how far from it a product may be whose states are rounded.
    fn expected(states: &[f32], weights: &[bf16]) -> (f64, f64) {
        let terms = || states.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(w.to_f32()));
        (terms().sum(), 1e-5 + terms().map(f64::abs).sum::<f64>() / 256.0)
    }

    proptest! {
        #[test]
        fn products_and_rows_are_those_of_the_rounded_weights(
            rows in 0_usize..70, inputs in 1_usize..80, outputs in 1_usize..140, from in 0_usize..4,
        ) {
            let weights = to_vec(&waves([outputs, inputs], 0.3));
            let weight = RoundedWeight::new("one", &weights, [outputs, inputs]);
            let states = waves([rows, inputs], 0.1);
            let found = to_vec(&weight.rows_of(0..outputs));
            let rounded: Vec<bf16> = found.iter().copied().map(bf16::from_f32).collect();
            for (found, weight) in found.iter().zip(&weights) {
                prop_assert!((found - weight).abs() <= weight.abs() / 128.0);
            }
            let range = (32 * from).min(outputs / 32 * 32)..outputs;
            let product = to_vec(&weight.product_of(&States::new(states.clone()), range.clone()));
            let states = to_vec(&states);
            let plain = product_of_plain(&states, &rounded, [rows, inputs, outputs]);
            for row in 0..rows {
                let states = &states[row * inputs..][..inputs];
                for (place, output) in range.clone().enumerate() {
                    let (expected, near) = expected(states, &rounded[output * inputs..][..inputs]);
                    let found = f64::from(product[row * range.len() + place]);
                    prop_assert!((found - expected).abs() <= near, "{found}, expected {expected}");
                    let found = f64::from(plain[row * outputs + output]);
                    prop_assert!((found - expected).abs() <= 1e-4, "{found}, expected {expected}");
                }
            }
        }

        #[test]
        fn a_weight_becomes_a_neighbour(bits: u32, place: u64) {
            let weight = f32::from_bits(bits);
            let found = round_by_chance(weight, place).to_f32();
            if weight.is_finite() {
                let (down, up) = (f32::from_bits(bits & 0xffff_0000), f32::from_bits((bits & 0xffff_0000) + 0x1_0000));
                prop_assert!(found.to_bits() == down.to_bits() || found.to_bits() == up.to_bits());
                prop_assert!(found.is_finite());
            } else {
                prop_assert!(found.is_nan() == weight.is_nan());
            }
        }
    }

    #[test]
    fn the_mean_of_many_rounded_weights_is_the_weight() {
        for weight in [1.003_f32, -0.7321, 0.1 + 1e-5] {
            let count = 100_000;
            let sum: f64 = (0..count).map(|place| f64::from(round_by_chance(weight, place).to_f32())).sum();
            let mean = sum / count as f64;
            assert!((mean / f64::from(weight) - 1.0).abs() < 5e-5, "{mean}, expected {weight}");
        }
    }
}
