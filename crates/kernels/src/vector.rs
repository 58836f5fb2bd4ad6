//! Sums, sums of products and largest numbers, written so that compilers make vector code of them.

/// How many numbers a vector register holds at most.
pub(crate) const LANES: usize = 16;

/// `a · b + c`, rounded once where the processor this is built for can.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one instruction in the innermost loops")]
pub fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    // Where it cannot, `mul_add` is a call of a function.
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

/// Sums the lanes of a vector, half by half.
#[inline]
fn sum(lanes: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// `Σ a`.
#[inline]
pub fn sum_of(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = numbers.as_chunks::<LANES>();
    for numbers in whole {
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    sum(sums) + rest.iter().sum::<f32>()
}

/// The largest number. It passes over NaN, and gives -∞ for an empty slice.
#[inline]
pub fn max_of(numbers: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = numbers.as_chunks::<LANES>();
    for numbers in whole {
        lanes.iter_mut().zip(numbers).for_each(|(lane, &number)| *lane = larger(*lane, number));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// `Σ a · b`.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a_whole, a_rest), (b_whole, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a_whole.iter().zip(b_whole) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = multiply_add(*a, *b, *sum);
        }
    }
    sum(sums) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Numbers between -1 and 1, for tests.
#[cfg(test)]
pub(crate) fn waves(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 1.7 + phase).sin()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima_agree_with_plain_loops() {
        for count in [0, 1, 15, 16, 17, 70] {
            let numbers: Vec<f32> = (0..count).map(|i| (i as f32 * 1.7).sin() - 2.0).collect();
            let sum: f32 = numbers.iter().sum();
            assert!((sum_of(&numbers) - sum).abs() < 1e-4);
            let product: f32 = numbers.iter().map(|number| number * number).sum();
            assert!((dot(&numbers, &numbers) - product).abs() < 1e-3);
            let max = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(max_of(&numbers).to_bits(), max.to_bits());
        }
        assert_eq!(max_of(&[f32::NAN, -3.0, f32::NAN]).to_bits(), (-3.0_f32).to_bits());
    }
}
