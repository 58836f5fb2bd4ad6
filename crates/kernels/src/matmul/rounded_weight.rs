//! A weight matrix for inference that is stored in bf16 and never in 32-bit floats.
//!
//! On processors with AMX the weights are stored in the tiles that the unit multiplies, and the activations are rounded to bf16
//! too. On others each thread widens as many outputs' weights as fit its cache and multiplies 32-bit floats, so that only half
//! as much comes from memory; the activations are not rounded.

use std::{cell::OnceCell, ops::Range};

use rayon::prelude::*;

use super::{
    Matrix, MatrixMut, Write, amx, multiply,
    rounded::{RoundedMatrix, RoundedView},
};
use crate::{
    bf16::{bf16, round, widen},
    pieces::pieces,
};

/// Weights that a thread widens at a time: 512 KB of 32-bit floats.
const WIDENED: usize = 1 << 17;

/// A weight matrix `[output, input]`, rounded.
pub struct RoundedWeight {
    inputs: usize,
    outputs: usize,
    weights: Weights,
}

enum Weights {
    Tiles(amx::Columns),
    /// `[output, input]`.
    Plain(Vec<bf16>),
}

/// Activations `[rows, inputs]` that are multiplied by one weight matrix or several.
pub struct Activations<'a> {
    numbers: &'a [f32],
    rows: usize,
    inputs: usize,
    tiles: OnceCell<amx::Rows>,
}

impl RoundedWeight {
    /// Rounds `weights: [outputs, inputs]`; `seed` decides by what chance.
    ///
    /// A weight between two numbers of bf16 becomes one of them by chance, the nearer the likelier (Gupta et al. 2015, arXiv
    /// 1502.02551), and the same one each time. Most models are published in bf16, and training moves most weights by less
    /// than half a step: rounded to the nearest they would come out as they were before.
    ///
    /// # Panics
    /// Where there are more or fewer weights than the shape says.
    pub fn new(weights: &[f32], [outputs, inputs]: [usize; 2], seed: u64) -> Self {
        assert_eq!(weights.len(), outputs * inputs, "a matrix of {outputs} × {inputs} weights");
        let mut rounded = vec![bf16::ZERO; weights.len()];
        rounded.par_iter_mut().zip(weights).enumerate().for_each(|(place, (rounded, &weight))| {
            *rounded = round_by_chance(weight, seed.wrapping_add(place as u64));
        });
        let view = RoundedView { numbers: &rounded, rows: outputs, columns: inputs, strides: [inputs, 1] };
        let weights = match amx::Columns::new(view.transposed()) {
            Some(tiles) => Weights::Tiles(tiles),
            None => Weights::Plain(rounded),
        };
        Self { inputs, outputs, weights }
    }

    /// Moves weights to where reading them is fastest, all of a model at once.
    pub fn gather<'a>(weights: impl Iterator<Item = &'a mut Self>) {
        let tiles = weights.filter_map(|weight| match &mut weight.weights {
            Weights::Tiles(tiles) => Some(tiles),
            Weights::Plain(_) => None,
        });
        amx::gather(tiles.collect());
    }

    /// Number of weights.
    pub fn size(&self) -> usize {
        self.outputs * self.inputs
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs, or of tokens where this is an embedding.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x Wᵀ: [rows, outputs]` for several weights, rows first; threads are started once for all.
    ///
    /// # Panics
    /// Where the activations have another number of inputs.
    pub fn products<const N: usize>(weights: [&Self; N], activations: &Activations<'_>) -> [Vec<f32>; N] {
        let tiles = weights.iter().filter_map(|weight| match &weight.weights {
            Weights::Tiles(tiles) => Some((tiles, 0..weight.outputs)),
            Weights::Plain(_) => None,
        });
        if let Ok(tiles) = <[_; N]>::try_from(tiles.collect::<Vec<_>>()) {
            return amx::products(activations.tiles(), tiles);
        }
        weights.map(|weight| weight.product_of(activations, 0..weight.outputs))
    }

    /// Some outputs of the product, `[rows, outputs]`; the first is a multiple of 32.
    ///
    /// # Panics
    /// Where the weight has no such outputs, or the activations have another number of inputs.
    pub fn product_of(&self, activations: &Activations<'_>, outputs: Range<usize>) -> Vec<f32> {
        match &self.weights {
            Weights::Tiles(weights) => {
                let [output] = amx::products(activations.tiles(), [(weights, outputs)]);
                output
            }
            Weights::Plain(weights) => {
                let shape = [activations.rows, self.inputs, outputs.len()];
                let weights = &weights[outputs.start * self.inputs..outputs.end * self.inputs];
                product_of_plain(activations.numbers, weights, shape)
            }
        }
    }

    /// The weights of some outputs, `[outputs, inputs]`.
    pub fn rows_of(&self, outputs: impl ExactSizeIterator<Item = usize>) -> Vec<f32> {
        let mut rows = Vec::with_capacity(outputs.len() * self.inputs);
        for output in outputs {
            match &self.weights {
                Weights::Tiles(weights) => rows.extend(weights.column(output).map(widen)),
                Weights::Plain(weights) => {
                    rows.extend(weights[output * self.inputs..][..self.inputs].iter().copied().map(widen));
                }
            }
        }
        rows
    }
}

impl<'a> Activations<'a> {
    /// `numbers` are `[rows, inputs]`, rows first.
    pub fn new(numbers: &'a [f32], [rows, inputs]: [usize; 2]) -> Self {
        Self { numbers, rows, inputs, tiles: OnceCell::new() }
    }

    fn tiles(&self) -> &amx::Rows {
        self.tiles.get_or_init(|| {
            amx::Rows::new(RoundedMatrix::new(self.numbers, [self.rows, self.inputs]).plain())
        })
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
    use crate::vector::waves;

    /// `Σ x w` over rounded weights, and how far from it the product of rounded activations may be.
    fn expected(states: &[f32], weights: &[bf16]) -> (f64, f64) {
        let terms = || states.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(w.to_f32()));
        (terms().sum(), 1e-5 + terms().map(f64::abs).sum::<f64>() / 256.0)
    }

    proptest! {
        #[test]
        fn products_and_rows_come_from_the_rounded_weights(
            rows in 0_usize..70, inputs in 1_usize..80, outputs in 1_usize..140, from in 0_usize..4,
        ) {
            let weights = waves(outputs * inputs, 0.3);
            let weight = RoundedWeight::new(&weights, [outputs, inputs], 17);
            let states = waves(rows * inputs, 0.1);
            let found = weight.rows_of(0..outputs);
            let rounded: Vec<bf16> = found.iter().copied().map(bf16::from_f32).collect();
            for (found, weight) in found.iter().zip(&weights) {
                prop_assert!((found - weight).abs() <= weight.abs() / 128.0);
            }
            let range = (32 * from).min(outputs / 32 * 32)..outputs;
            let product = weight.product_of(&Activations::new(&states, [rows, inputs]), range.clone());
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
