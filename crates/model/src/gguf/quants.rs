//! From stored blocks to `f32` and back. The layouts are those of ggml's `ggml-common.h`.

use half::{bf16, f16};
use rayon::prelude::*;

use super::{TensorType, k_quants};

/// Blocks that one task converts, so that a task is worth its start.
const BLOCKS_A_TASK: usize = 4096;

/// The weights of `bytes`, whole blocks of `kind`.
pub(super) fn dequantize(kind: TensorType, bytes: &[u8]) -> Vec<f32> {
    let (block_bytes, block_length) = (kind.block_bytes(), kind.block_length());
    let mut weights = vec![0.0; bytes.len() / block_bytes * block_length];
    weights
        .par_chunks_mut(block_length * BLOCKS_A_TASK)
        .zip(bytes.par_chunks(block_bytes * BLOCKS_A_TASK))
        .for_each(|(weights, bytes)| {
            for (weights, block) in
                weights.chunks_exact_mut(block_length).zip(bytes.chunks_exact(block_bytes))
            {
                dequantize_block(kind, block, weights);
            }
        });
    weights
}

/// The blocks of 32 weights of `Q8_0`: scale `max |w| / 127` as f16, then each weight over the scale, rounded.
pub(super) fn quantize_q8_0(weights: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(weights.len() / 32 * 34);
    for block in weights.chunks_exact(32) {
        let largest = block.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        bytes.extend(f16::from_f32(scale).to_le_bytes());
        bytes.extend(block.iter().map(|weight| ((weight * inverse).round() as i8).to_le_bytes()[0]));
    }
    bytes
}

/// The 16-bit float at a place of a block.
pub(super) fn half_at(block: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([block[place], block[place + 1]]).to_f32()
}

fn dequantize_block(kind: TensorType, block: &[u8], weights: &mut [f32]) {
    match kind {
        TensorType::F32 => weights[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
        TensorType::F16 => weights[0] = half_at(block, 0),
        TensorType::BF16 => weights[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32(),
        TensorType::Q4_0 => {
            let scale = half_at(block, 0);
            nibbles(&block[2..], weights, |q, _| scale * (f32::from(q) - 8.0));
        }
        TensorType::Q4_1 => {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            nibbles(&block[4..], weights, |q, _| scale * f32::from(q) + minimum);
        }
        TensorType::Q5_0 => {
            let scale = half_at(block, 0);
            let high = fifth_bits(&block[2..6]);
            nibbles(&block[6..], weights, |q, place| scale * (f32::from(q | fifth_bit(high, place)) - 16.0));
        }
        TensorType::Q5_1 => {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            let high = fifth_bits(&block[4..8]);
            nibbles(&block[8..], weights, |q, place| scale * f32::from(q | fifth_bit(high, place)) + minimum);
        }
        TensorType::Q8_0 => {
            let scale = half_at(block, 0);
            for (weight, &q) in weights.iter_mut().zip(&block[2..]) {
                *weight = scale * f32::from(i8::from_le_bytes([q]));
            }
        }
        TensorType::Q4K => k_quants::q4(block, weights),
        TensorType::Q5K => k_quants::q5(block, weights),
        TensorType::Q6K => k_quants::q6(block, weights),
    }
}

/// Sixteen bytes hold 32 weights: the low halves the first sixteen, the high halves the others.
fn nibbles(packed: &[u8], weights: &mut [f32], weight: impl Fn(u8, usize) -> f32) {
    for (place, &byte) in packed.iter().enumerate() {
        weights[place] = weight(byte & 0x0F, place);
        weights[place + 16] = weight(byte >> 4, place + 16);
    }
}

fn fifth_bits(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn fifth_bit(high: u32, place: usize) -> u8 {
    ((high >> place) & 1) as u8 * 16
}
