//! The "k-quants": blocks of 256 weights in parts that have scales of their own.

use super::dequantise::half_at;

/// The 6-bit scale and minimum of each of the eight parts of a `Q4_K` or `Q5_K` block, packed into twelve bytes.
fn scale_and_minimum(packed: &[u8], part: usize) -> (f32, f32) {
    let (scale, minimum) = if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        (
            (packed[part + 4] & 0x0F) | ((packed[part - 4] >> 6) << 4),
            (packed[part + 4] >> 4) | ((packed[part] >> 6) << 4),
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// `Q4_K`: scale, minimum scale, twelve bytes of 6-bit scales and minimums, 128 bytes of 4-bit integers.
pub(super) fn q4(block: &[u8; 144], weights: &mut [f32; 256]) {
    let (scale, minimum_scale) = (half_at(block, 0), half_at(block, 2));
    let (packed, integers) = (&block[4..16], &block[16..144]);
    for (pair, weights) in weights.chunks_exact_mut(64).enumerate() {
        let low = scale_and_minimum(packed, 2 * pair);
        let high = scale_and_minimum(packed, 2 * pair + 1);
        let (first, second) = weights.split_at_mut(32);
        let bytes = &integers[32 * pair..32 * (pair + 1)];
        let (low_scale, low_minimum) = (scale * low.0, minimum_scale * low.1);
        let (high_scale, high_minimum) = (scale * high.0, minimum_scale * high.1);
        for ((first, second), &byte) in first.iter_mut().zip(second).zip(bytes) {
            *first = low_scale * f32::from(byte & 0x0F) - low_minimum;
            *second = high_scale * f32::from(byte >> 4) - high_minimum;
        }
    }
}

/// `Q5_K`: as `Q4_K`, with 32 bytes between that hold the fifth bits, one bit of each byte for each part.
pub(super) fn q5(block: &[u8; 176], weights: &mut [f32; 256]) {
    let (scale, minimum_scale) = (half_at(block, 0), half_at(block, 2));
    let (packed, fifth, integers) = (&block[4..16], &block[16..48], &block[48..176]);
    for (pair, weights) in weights.chunks_exact_mut(64).enumerate() {
        let low = scale_and_minimum(packed, 2 * pair);
        let high = scale_and_minimum(packed, 2 * pair + 1);
        for (place, &byte) in integers[32 * pair..32 * (pair + 1)].iter().enumerate() {
            let bit = |part: usize| ((fifth[place] >> part) & 1) * 16;
            let (first, second) = ((byte & 0x0F) + bit(2 * pair), (byte >> 4) + bit(2 * pair + 1));
            weights[place] = scale * low.0 * f32::from(first) - minimum_scale * low.1;
            weights[place + 32] = scale * high.0 * f32::from(second) - minimum_scale * high.1;
        }
    }
}

/// `Q6_K`: 128 bytes of low halves, 64 bytes of high bit pairs, sixteen 8-bit scales, one scale over them.
pub(super) fn q6(block: &[u8; 210], weights: &mut [f32; 256]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half_at(block, 208);
    for (half, weights) in weights.chunks_exact_mut(128).enumerate() {
        let (low, high, scales) = (&low[64 * half..], &high[32 * half..], &scales[8 * half..]);
        for place in 0..32 {
            let pairs = high[place];
            let integers = [
                (low[place] & 0x0F) | ((pairs & 3) << 4),
                (low[place + 32] & 0x0F) | (((pairs >> 2) & 3) << 4),
                (low[place] >> 4) | (((pairs >> 4) & 3) << 4),
                (low[place + 32] >> 4) | (((pairs >> 6) & 3) << 4),
            ];
            for (quarter, &integer) in integers.iter().enumerate() {
                let part_scale = f32::from(i8::from_le_bytes([scales[place / 16 + 2 * quarter]]));
                weights[place + 32 * quarter] = scale * part_scale * (f32::from(integer) - 32.0);
            }
        }
    }
}
