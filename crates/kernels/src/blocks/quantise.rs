//! From `f32` to stored blocks.

use half::f16;

/// The blocks of 32 weights of `Q8_0`: scale `max |w| / 127` as f16, then each weight over the scale, rounded. Weights beyond
/// a multiple of 32 are left out.
pub fn quantise_q8_0(weights: &[f32]) -> Vec<u8> {
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
