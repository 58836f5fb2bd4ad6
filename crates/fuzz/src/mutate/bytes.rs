//! Changes that know nothing of a format.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Numbers at which readers go wrong, in 64 bits; their lower halves serve for 32.
pub(super) const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    0x7f,
    0xff,
    0x100,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
    u64::MAX - 7,
    // Not a number, as 32-bit and as 64-bit floats.
    0x7fc0_0000,
    0x7ff8_0000_0000_0000,
];

/// One change somewhere.
pub(super) fn changed(mut input: Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    if input.is_empty() {
        return other.to_vec();
    }
    let place = place(input.len(), random);
    match random.random_range(0..9) {
        0 => input[place] ^= 1 << random.random_range(0..8),
        1 => input[place] = random.random(),
        2 => {
            let number = NUMBERS[random.random_range(0..NUMBERS.len())].to_le_bytes();
            let width = [1, 2, 4, 8][random.random_range(0..4)];
            for (byte, number) in input[place..].iter_mut().zip(&number[..width]) {
                *byte = *number;
            }
        }
        3 => input.truncate(place),
        4 => {
            let end = (place + length(random)).min(input.len());
            input.drain(place..end);
        }
        5 => {
            let end = (place + length(random)).min(input.len());
            let again = input[place..end].to_vec();
            input.splice(place..place, again);
        }
        6 if !other.is_empty() => {
            let from = self::place(other.len(), random);
            let part = &other[from..(from + length(random)).min(other.len())];
            let end = if random.random() { (place + part.len()).min(input.len()) } else { place };
            input.splice(place..end, part.iter().copied());
        }
        7 => {
            // A variable-length number as large as it can be.
            let end = (place + 9).min(input.len());
            input[place..end].fill(0xff);
            input[end - 1] = 0x7f;
        }
        _ => {
            let added = input[place].wrapping_add(random.random_range(0..9)).wrapping_sub(4);
            input[place] = added;
        }
    }
    input
}

/// A place, now and then near the beginning or the end, where descriptions stand.
pub(super) fn place(length: usize, random: &mut ChaCha8Rng) -> usize {
    let near = length.min(256);
    match random.random_range(0..4) {
        0 => random.random_range(0..near),
        1 => length - 1 - random.random_range(0..near),
        _ => random.random_range(0..length),
    }
}

/// A length, mostly short.
fn length(random: &mut ChaCha8Rng) -> usize {
    let most = 1_usize << random.random_range(1..10);
    random.random_range(1..=most)
}
