//! From stored blocks to `f32`. The layouts are those of ggml's `ggml-common.h`.

use half::{bf16, f16};
use rayon::prelude::*;

use super::{BlockFormat, k_quants};

/// Blocks that one task converts, so that a task is worth its start.
const BLOCKS_A_TASK: usize = 4096;

/// The weights of `bytes`, whole blocks of `format`; what is less than a block at their end is left out.
pub fn dequantise(format: BlockFormat, bytes: &[u8]) -> Vec<f32> {
    let (block_bytes, block_length) = (format.block_bytes(), format.block_length());
    let blocks = bytes.len() / block_bytes;
    let mut weights = vec![0.0; blocks * block_length];
    weights
        .par_chunks_mut(block_length * BLOCKS_A_TASK)
        .zip(bytes[..blocks * block_bytes].par_chunks(block_bytes * BLOCKS_A_TASK))
        .for_each(|(weights, bytes)| dequantise_row(format, bytes, weights));
    weights
}

/// Writes the weights of some blocks.
pub(super) fn dequantise_row(format: BlockFormat, bytes: &[u8], weights: &mut [f32]) {
    match format {
        BlockFormat::F32 => each::<4>(bytes, weights, f32::from_le_bytes),
        BlockFormat::F16 => each::<2>(bytes, weights, |bytes| f16::from_le_bytes(bytes).to_f32()),
        BlockFormat::BF16 => each::<2>(bytes, weights, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        BlockFormat::Q4_0 => blocks::<18, 32>(bytes, weights, |block, weights| {
            let scale = half_at(block, 0);
            nibbles(&block[2..], weights, |q, _| scale * (f32::from(q) - 8.0));
        }),
        BlockFormat::Q4_1 => blocks::<20, 32>(bytes, weights, |block, weights| {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            nibbles(&block[4..], weights, |q, _| scale * f32::from(q) + minimum);
        }),
        BlockFormat::Q5_0 => blocks::<22, 32>(bytes, weights, |block, weights| {
            let scale = half_at(block, 0);
            let high = fifth_bits(&block[2..6]);
            nibbles(&block[6..], weights, |q, place| scale * (f32::from(q | fifth_bit(high, place)) - 16.0));
        }),
        BlockFormat::Q5_1 => blocks::<24, 32>(bytes, weights, |block, weights| {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            let high = fifth_bits(&block[4..8]);
            nibbles(&block[8..], weights, |q, place| scale * f32::from(q | fifth_bit(high, place)) + minimum);
        }),
        BlockFormat::Q8_0 => blocks::<34, 32>(bytes, weights, |block, weights| {
            let scale = half_at(block, 0);
            for (weight, &q) in weights.iter_mut().zip(&block[2..]) {
                *weight = scale * f32::from(i8::from_le_bytes([q]));
            }
        }),
        BlockFormat::Q4K => blocks::<144, 256>(bytes, weights, k_quants::q4),
        BlockFormat::Q5K => blocks::<176, 256>(bytes, weights, k_quants::q5),
        BlockFormat::Q6K => blocks::<210, 256>(bytes, weights, k_quants::q6),
    }
}

/// Converts weights that stand by themselves.
fn each<const BYTES: usize>(bytes: &[u8], weights: &mut [f32], weight: impl Fn([u8; BYTES]) -> f32) {
    for (place, bytes) in weights.iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
        *place = weight(*bytes);
    }
}

/// Converts blocks, whose sizes are known when this is compiled, so that the loops within have no checks.
fn blocks<const BYTES: usize, const LENGTH: usize>(
    bytes: &[u8],
    weights: &mut [f32],
    convert: impl Fn(&[u8; BYTES], &mut [f32; LENGTH]),
) {
    for (weights, block) in weights.as_chunks_mut::<LENGTH>().0.iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
        convert(block, weights);
    }
}

/// The 16-bit float at a place of a block.
pub(super) fn half_at(block: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([block[place], block[place + 1]]).to_f32()
}

/// Sixteen bytes hold 32 weights: the low halves the first sixteen, the high halves the others.
fn nibbles(packed: &[u8], weights: &mut [f32; 32], weight: impl Fn(u8, usize) -> f32) {
    let (low, high) = weights.split_at_mut(16);
    for (place, ((low, high), &byte)) in low.iter_mut().zip(high).zip(packed).enumerate() {
        *low = weight(byte & 0x0F, place);
        *high = weight(byte >> 4, place + 16);
    }
}

fn fifth_bits(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn fifth_bit(high: u32, place: usize) -> u8 {
    ((high >> place) & 1) as u8 * 16
}
