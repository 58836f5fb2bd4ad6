//! Rounding 32-bit floats to bf16, and widening them again.

pub use half::bf16;
use rayon::prelude::*;

use crate::CHUNK;

/// [`round`] for each of these numbers, in all threads.
pub fn rounded(numbers: &[f32]) -> Vec<bf16> {
    let mut rounded = vec![bf16::ZERO; numbers.len()];
    rounded.par_chunks_mut(CHUNK).zip(numbers.par_chunks(CHUNK)).for_each(|(rounded, numbers)| {
        for (rounded, &number) in rounded.iter_mut().zip(numbers) {
            *rounded = round(number);
        }
    });
    rounded
}

/// The nearest bf16 number, and the even one of two that are equally near. Compilers make vector code of loops over it.
pub fn round(number: f32) -> bf16 {
    let bits = number.to_bits();
    let nearest = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1))) >> 16;
    // Rounding the bits of NaN up could give a number.
    let not_a_number = (bits >> 16) | 0x40;
    bf16::from_bits(if number.is_nan() { not_a_number } else { nearest } as u16)
}

/// The same number with 32 bits. Compilers make vector code of loops over it.
pub fn widen(number: bf16) -> f32 {
    f32::from_bits(u32::from(number.to_bits()) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_the_half_crates() {
        let mut bits = 0_u32;
        for _ in 0..2_000_000 {
            let number = f32::from_bits(bits);
            let (found, expected) = (round(number), bf16::from_f32(number));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{bits:x}");
            bits = bits.wrapping_add(2_147);
        }
        for number in
            [f32::NAN, f32::from_bits(0x7fff_ffff), f32::from_bits(0xffff_ffff), f32::INFINITY, f32::MAX]
        {
            let (found, expected) = (round(number), bf16::from_f32(number));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{number}");
        }
    }
}
