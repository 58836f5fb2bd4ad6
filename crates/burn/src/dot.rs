//! Sums of products, written so that compilers make vector code of them.

/// Numbers of a vector, at most.
pub(crate) const LANES: usize = 16;

/// `a · b + c`, rounded once where the processor this is built for can.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one instruction in the innermost loops")]
pub(crate) fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    // Where it cannot, `mul_add` is a call of a function.
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

/// The sum of a vector's numbers, in halves.
#[inline]
pub(crate) fn sum(lanes: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// `Σ a · b`.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a_whole, a_rest), (b_whole, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a_whole.iter().zip(b_whole) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = multiply_add(*a, *b, *sum);
        }
    }
    sum(sums) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
