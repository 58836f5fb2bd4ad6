//! The exponential, written so that compilers make vector code of loops over it; the system's takes one number at a time.

use crate::vector::multiply_add;

/// `exp(x)` with a relative error below 2e-7; beyond ±87 the value at ±87. `NaN` stays.
///
/// With `n = round(x / ln 2)`, it is `2ⁿ · exp(x − n ln 2)`, the latter by Cephes' polynomial (Moshier, `expf`).
#[inline]
pub fn exp(x: f32) -> f32 {
    /// 1.5 × 2²³: added to a small number, it leaves the nearest integer in the lowest bits. A conversion to an integer would
    /// check its range number by number, which is no vector code.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = multiply_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n times the first is exact.
    let r = multiply_add(n, 2.121_944_4e-4, multiply_add(n, -0.693_359_4, x));
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = multiply_add(sum, r, coefficient);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    multiply_add(sum * r, r, r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn it_is_the_exponential() {
        for i in -870_000..=870_000 {
            let x = i as f32 * 1e-4;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 2e-7, "exp({x}) is {}, expected {expected}", exp(x));
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
    }
}
