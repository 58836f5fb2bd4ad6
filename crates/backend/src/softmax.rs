//! The largest logit, the sum of exponentials and its logarithm, in a form that the compiler turns into vector code.
//!
//! Engines pass over a vocabulary of tens of thousands for each token that they draw or score, so this is where their
//! time goes outside the model itself.

/// Lanes of the inner loops: two registers of AVX-512, four of AVX2.
const LANES: usize = 32;
/// Logits whose exponentials are summed in f32, so many in each lane.
const SUMMED: usize = 16 * LANES;

/// The largest logit; negative infinity without logits. A logit that is no number is passed over.
pub(crate) fn max(logits: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, logit);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

/// What greedy choices and log-probabilities take from logits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// The largest logit; negative infinity without logits.
    pub(crate) max: f32,
    /// The index of the first logit that is the largest; 0 without logits.
    pub(crate) place: usize,
    /// `ln Σ exp(logit)`, without overflow.
    pub(crate) log_sum_exp: f32,
}

/// All of it in one pass over memory: sums of chunks, each beside its own largest logit, are brought to that of all as they
/// are added up (Milakov & Gimelshein 2018, arXiv 1805.02867).
pub(crate) fn summary(logits: &[f32]) -> Summary {
    let (mut max, mut chunk_of_max, mut sum) = (f32::NEG_INFINITY, 0, 0.0);
    for (index, chunk) in logits.chunks(SUMMED).enumerate() {
        let largest = self::max(chunk);
        if largest > max {
            // Nothing is added up where the largest so far is negative infinity.
            sum *= f64::from(max - largest).exp();
            (max, chunk_of_max) = (largest, index);
        }
        if max > f32::NEG_INFINITY {
            sum += exp_sum(chunk, max, 1.0);
        }
    }
    let first = (chunk_of_max * SUMMED).min(logits.len());
    // A search that may end anywhere is not made vector code, so that it goes over one chunk only.
    let place = first + logits[first..].iter().position(|&logit| logit >= max).unwrap_or(0);
    Summary { max, place, log_sum_exp: max + sum.ln() as f32 }
}

/// `Σ exp((logit - max) × scale)`, where `max` is the largest logit and `scale` above 0.
///
/// Sums of few are summed in f64: over 100,000 tokens f32 loses the digits that agreement with other engines is measured in.
pub(crate) fn exp_sum(logits: &[f32], max: f32, scale: f32) -> f64 {
    let summed = |logits: &[f32]| {
        let (chunks, rest) = logits.as_chunks::<LANES>();
        let mut lanes = [0.0_f32; LANES];
        for chunk in chunks {
            for (lane, &logit) in lanes.iter_mut().zip(chunk) {
                *lane += exp((logit - max) * scale);
            }
        }
        let rest: f32 = rest.iter().map(|&logit| exp((logit - max) * scale)).sum();
        lanes.iter().copied().map(f64::from).sum::<f64>() + f64::from(rest)
    };
    logits.chunks(SUMMED).map(summed).sum()
}

/// `ln Σ exp(logit)`, without overflow.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f32 {
    summary(logits).log_sum_exp
}

/// `a · b + c`, rounded once where the processor this is built for can.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one instruction in the innermost loop")]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    // Where it cannot, `mul_add` is a call of a function.
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

/// `exp(x)` for `x` of at most 0, within one unit in the last place; below -87, where the result is smaller than any
/// normal number, that of -87.
///
/// The standard library's calls the C library for each value, which no compiler vectorises. Reduced to `2^n × exp(r)`
/// with `|r| ≤ ln 2 / 2`, the polynomial for `exp(r)` from Cephes' `expf` (Moshier).
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 × 2^23: added to a small number, it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = multiply_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add(n, -LN_2_LOW, multiply_add(n, -LN_2_HIGH, x));
    let mut polynomial = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        polynomial = multiply_add(polynomial, r, coefficient);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    multiply_add(polynomial * r, r, r + 1.0) * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exp_is_that_of_f64(x in -87.0_f32..=0.0) {
            let expected = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) / expected - 1.0).abs() < 1.2e-7, "{} for {}", exp(x), expected);
        }

        #[test]
        fn log_sum_exp_is_that_of_f64(logits in prop::collection::vec(-40.0_f32..40.0, 1..300)) {
            let expected = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
            prop_assert!((f64::from(log_sum_exp(&logits)) - expected).abs() < 1e-5, "{expected}");
        }

        #[test]
        fn the_largest_is_the_first_of_the_largest(logits in prop::collection::vec(-3_i8..3, 1..1500)) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let Summary { max, place: found, .. } = summary(&logits);
            prop_assert!(logits.is_empty() || logits[found].to_bits() == max.to_bits());
            prop_assert!(logits[..found].iter().all(|&before| before < logits[found]));
            prop_assert!(logits[found..].iter().all(|&after| after <= logits[found]));
        }
    }

    #[test]
    fn a_large_vocabulary_keeps_its_digits() {
        let logits: Vec<f32> = (0..150_000_u32).map(|i| (i % 977) as f32 * 0.01 - 3.0).collect();
        let expected = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
        assert!((f64::from(log_sum_exp(&logits)) - expected).abs() < 2e-6);
    }

    #[test]
    fn the_ends_of_the_range() {
        assert!((exp(0.0) - 1.0).abs() < 1e-7);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert!((log_sum_exp(&[f32::NEG_INFINITY, 2.0]) - 2.0).abs() < 1e-7);
    }
}
