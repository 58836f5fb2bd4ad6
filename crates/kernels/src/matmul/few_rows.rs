//! The product `x W` with few rows, such as one token each of some samples: nearly as fast as the weights come from memory.
//!
//! Each thread computes some of the outputs with `gemm`. For one row, where `gemm` waits for memory, a thread takes some of the
//! inputs instead, whose weights lie in memory one after another.

use std::ops::Range;

use rayon::prelude::*;

use crate::vector::{LANES, multiply_add};

/// The largest number of rows for which this product is faster than a plain one.
pub const FEW_ROWS: usize = 128;

/// Outputs of a thread are a multiple of this: whole cache lines.
const OUTPUTS: usize = 16;

/// Parts of the inputs of one row. Fixed, so that sums do not depend on the number of threads.
const PARTS: usize = 8;

/// From so many outputs on, threads take outputs of one row and not inputs.
const MANY_OUTPUTS: usize = 16_384;

/// Rows of weights that are added at once to the sums of one row.
const AT_ONCE: usize = 8;

/// `W: [inputs, outputs]`, which may be a part of a larger matrix, or transposed in memory.
#[derive(Clone, Copy)]
pub struct StridedWeight<'a> {
    numbers: &'a [f32],
    start: usize,
    inputs: usize,
    outputs: usize,
    strides: [isize; 2],
}

impl<'a> StridedWeight<'a> {
    /// The matrix whose first number is at `start` in `numbers`; `strides` are the steps from one input to the next, and from one
    /// output to the next.
    ///
    /// # Panics
    /// Where it is not within `numbers`.
    pub fn new(numbers: &'a [f32], start: usize, [inputs, outputs]: [usize; 2], strides: [isize; 2]) -> Self {
        // All of it is within the memory, whichever way the steps go.
        let last = |count: usize, stride: isize| (count.saturating_sub(1) as isize) * stride;
        let steps = [last(inputs, strides[0]), last(outputs, strides[1])];
        let least = start as isize + steps.iter().map(|&step| step.min(0)).sum::<isize>();
        let most = start as isize + steps.iter().map(|&step| step.max(0)).sum::<isize>();
        assert!(least >= 0 && (most as usize) < numbers.len().max(1), "a layout in its memory");
        Self { numbers, start, inputs, outputs, strides }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

/// Where some threads write, each its own outputs.
#[derive(Clone, Copy)]
struct Output(*mut f32);

// SAFETY: each thread writes to other outputs, and the vectors are borrowed mutably until all threads are done.
#[allow(unsafe_code, reason = "threads write to different outputs")]
unsafe impl Send for Output {}

// SAFETY: as for `Send`.
#[allow(unsafe_code, reason = "threads write to different outputs")]
unsafe impl Sync for Output {}

/// Writes `x W: [rows, outputs]` of each of the weights to `outputs`, which are zeros, for `states: [rows, inputs]`. Threads are
/// started once for all.
///
/// # Panics
/// Where the sizes do not fit each other.
pub fn multiply_few_rows(
    states: &[f32],
    rows: usize,
    weights: &[StridedWeight<'_>],
    outputs: &mut [Vec<f32>],
) {
    assert_eq!(weights.len(), outputs.len(), "an output for each weight");
    for (weight, output) in weights.iter().zip(&*outputs) {
        assert_eq!(output.len(), rows * weight.outputs, "room for the output");
        assert_eq!(states.len(), rows * weight.inputs, "as many states as the weights have inputs");
    }
    if rows == 1 && weights.iter().all(|weight| weight.strides[1] == 1 && weight.outputs < MANY_OUTPUTS) {
        return of_one(states, weights, outputs);
    }
    let threads = rayon::current_num_threads();
    let outputs: Vec<Output> = outputs.iter_mut().map(|output| Output(output.as_mut_ptr())).collect();
    (0..threads).into_par_iter().for_each(|thread| {
        for (weight, output) in weights.iter().zip(&outputs) {
            let of_thread = weight.outputs.div_ceil(threads).next_multiple_of(OUTPUTS);
            let first = (thread * of_thread).min(weight.outputs);
            let range = first..(first + of_thread).min(weight.outputs);
            if !range.is_empty() {
                of_thread_alone(states, rows, weight, range, *output);
            }
        }
    });
}

/// The outputs of one row.
fn of_one(states: &[f32], weights: &[StridedWeight<'_>], outputs: &mut [Vec<f32>]) {
    let of_part = states.len().div_ceil(PARTS).next_multiple_of(AT_ONCE);
    let parts: Vec<Vec<Vec<f32>>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let first = (part * of_part).min(states.len());
            let inputs = first..(first + of_part).min(states.len());
            let sums_of = |weight: &StridedWeight<'_>| {
                let mut sums = vec![0.0; weight.outputs];
                add_inputs(states, weight, inputs.clone(), 0, &mut sums);
                sums
            };
            weights.iter().map(sums_of).collect()
        })
        .collect();
    for part in parts {
        for (output, part) in outputs.iter_mut().zip(part) {
            output.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
}

/// The outputs of one thread, at least one.
fn of_thread_alone(
    states: &[f32],
    rows: usize,
    weight: &StridedWeight<'_>,
    range: Range<usize>,
    output: Output,
) {
    // `[rows, outputs]` numbers are there, and `range` is within the outputs.
    let output = output.0.wrapping_add(range.start);
    if rows == 1 && weight.strides[1] == 1 {
        // SAFETY: outputs of one row lie side by side, and no other thread writes to these.
        #[allow(unsafe_code, reason = "a part of a vector that no other thread has")]
        let output = unsafe { std::slice::from_raw_parts_mut(output, range.len()) };
        add_inputs(states, weight, 0..states.len(), range.start, output);
        return;
    }
    let [next_input, next_output] = weight.strides;
    let weights = weight.numbers;
    let start = weight.start as isize + range.start as isize * next_output;
    // SAFETY: the pointers and strides describe `rows · inputs` states, the weights of these outputs, which `new` found to be in
    // their memory, and these columns of the output, which no other thread writes to.
    #[allow(unsafe_code, reason = "a product on strides, with checked sizes")]
    unsafe {
        gemm::gemm(
            rows,
            range.len(),
            weight.inputs,
            output,
            1,
            weight.outputs as isize,
            false,
            states.as_ptr(),
            1,
            weight.inputs as isize,
            weights.as_ptr().offset(start),
            next_output,
            next_input,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Adds what some inputs of one row give to the outputs from `first` on, which stand side by side in the weights.
fn add_inputs(
    states: &[f32],
    weight: &StridedWeight<'_>,
    inputs: Range<usize>,
    first: usize,
    sums: &mut [f32],
) {
    let weights = weight.numbers;
    let start = weight.start as isize + first as isize;
    let count = sums.len();
    let of_input = |input: usize| &weights[(start + input as isize * weight.strides[0]) as usize..][..count];
    let whole = inputs.len() / AT_ONCE * AT_ONCE;
    for input in (inputs.start..inputs.start + whole).step_by(AT_ONCE) {
        let states: [f32; AT_ONCE] = std::array::from_fn(|i| states[input + i]);
        add(sums, states, std::array::from_fn(|i| of_input(input + i)));
    }
    for (input, &state) in states[..inputs.end].iter().enumerate().skip(inputs.start + whole) {
        add(sums, [state], [of_input(input)]);
    }
}

/// Adds the weights of some inputs to the sums.
fn add<const N: usize>(sums: &mut [f32], states: [f32; N], weights: [&[f32]; N]) {
    let (whole, rest) = sums.as_chunks_mut::<LANES>();
    // As long as the sums, and known to be, so that the loop has no checks.
    let weights = weights.map(|weights| weights.as_chunks::<LANES>());
    let whole_weights = weights.map(|(weights, _)| &weights[..whole.len()]);
    for (place, sums) in whole.iter_mut().enumerate() {
        let mut lanes = *sums;
        for (state, weights) in states.iter().zip(&whole_weights) {
            for (sum, weight) in lanes.iter_mut().zip(&weights[place]) {
                *sum = multiply_add(*state, *weight, *sum);
            }
        }
        *sums = lanes;
    }
    for (state, (_, weights)) in states.iter().zip(weights) {
        for (sum, weight) in rest.iter_mut().zip(weights) {
            *sum = multiply_add(*state, *weight, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::waves;

    /// Compares the product with sums of 64-bit floats.
    fn assert_is_the_product(states: &[f32], rows: usize, weights: &[StridedWeight<'_>]) {
        let mut outputs: Vec<Vec<f32>> = weights.iter().map(|w| vec![0.0; rows * w.outputs]).collect();
        multiply_few_rows(states, rows, weights, &mut outputs);
        for (weight, output) in weights.iter().zip(outputs) {
            for (place, found) in output.into_iter().enumerate() {
                let (row, column) = (place / weight.outputs, place % weight.outputs);
                let at = |input: usize| {
                    let [by_input, by_output] = weight.strides;
                    let place =
                        weight.start as isize + input as isize * by_input + column as isize * by_output;
                    f64::from(weight.numbers[place as usize])
                };
                let terms = (0..weight.inputs).map(|i| f64::from(states[row * weight.inputs + i]) * at(i));
                let expected: f64 = terms.sum();
                assert!((f64::from(found) - expected).abs() < 1e-4, "{found}, expected {expected}");
            }
        }
    }

    #[test]
    fn it_is_the_sum_of_products() {
        for rows in [0, 1, 2, 7, FEW_ROWS] {
            for [inputs, outputs] in [[32, 64], [5, 3], [37, 130], [16, 1], [9, MANY_OUTPUTS + 500]] {
                let (states, weights) = (waves(rows * inputs, 0.1), waves(inputs * outputs, 0.2));
                let weight = StridedWeight::new(&weights, 0, [inputs, outputs], [outputs as isize, 1]);
                assert_is_the_product(&states, rows, &[weight]);
            }
        }
    }

    #[test]
    fn weights_may_be_a_part_or_transposed_and_several_at_once() {
        let numbers = waves(40 * 24, 0.2);
        for rows in [1, 3] {
            let states = waves(rows * 20, 0.1);
            let part = StridedWeight::new(&numbers, 7 * 24, [20, 24], [24, 1]);
            let transposed = StridedWeight::new(&numbers, 3, [20, 40], [1, 24]);
            assert_is_the_product(&states, rows, &[part]);
            assert_is_the_product(&states, rows, &[transposed]);
            assert_is_the_product(&states, rows, &[part, transposed, part]);
        }
    }

    #[test]
    #[should_panic(expected = "a layout in its memory")]
    fn a_weight_is_within_its_numbers() {
        StridedWeight::new(&[0.0; 11], 0, [3, 4], [4, 1]);
    }
}
