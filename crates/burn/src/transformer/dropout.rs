//! Dropout with randomness of its own, so that a mask can be drawn again.

use burn::tensor::Tensor;
use lancer_backend::Seed;
use rand::RngCore;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::numbers::matrix;

/// The dropout of one layer in one pass.
pub(crate) struct Dropout {
    random: ChaCha8Rng,
}

impl Dropout {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed.0) }
    }

    /// Sets each number to zero with `probability`, and divides the others by what is kept of all.
    pub(crate) fn apply(&mut self, states: Tensor<2>, probability: f64) -> Tensor<2> {
        if probability == 0.0 {
            return states;
        }
        let shape = states.dims();
        let mut random = vec![0_u8; shape[0] * shape[1] * 4];
        self.random.fill_bytes(&mut random);
        let limit = (probability * f64::from(u32::MAX)) as u32;
        let kept = (1.0 / (1.0 - probability)) as f32;
        let mask = random
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&bytes| if u32::from_le_bytes(bytes) < limit { 0.0 } else { kept })
            .collect();
        let mask = matrix(mask, shape, &states.clone().inner().device());
        states * mask
    }
}
