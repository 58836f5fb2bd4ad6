//! The product `x W`: with many rows Burn's, or one whose factors are rounded; with few rows, such as a token each of some
//! samples, nearly as fast as the weights come from memory.
//!
//! Burn's own takes one thread for few rows. Here each thread takes some of the outputs, with the same matrix product
//! (`gemm`) inside. For one row, where `gemm` waits for memory, it takes some of the inputs, whose weights stand in memory one
//! after another.

use std::ops::Range;

use burn::{backend::Flex, tensor::Tensor};
use rayon::prelude::*;

use crate::{
    dot::{LANES, multiply_add},
    fused,
    numbers::{Floats, is_here, matrix, primitive, slice},
    settings::Products,
};

/// From more rows on Burn's own product is as fast.
const FEW_ROWS: usize = 128;

/// Outputs of a thread are a multiple of this: whole cache lines.
const OUTPUTS: usize = 16;

/// Parts of the inputs of one row. Fixed, so that sums do not depend on the number of threads.
const PARTS: usize = 8;

/// From so many outputs on, threads take outputs of one row and not inputs.
const MANY_OUTPUTS: usize = 16_384;

/// Rows of weights that are added at once to the sums of one row.
const AT_ONCE: usize = 8;

/// `x W: [rows, outputs]` for `x: [rows, inputs]` and `W: [inputs, outputs]`.
pub(crate) fn product(states: Tensor<2>, weight: Tensor<2>, products: Products) -> Tensor<2> {
    let [output] = products_of(states, [weight], products);
    output
}

/// The products of the same states with several weights: threads are started once for all.
pub(crate) fn products_of<const N: usize>(
    states: Tensor<2>,
    weights: [Tensor<2>; N],
    products: Products,
) -> [Tensor<2>; N] {
    if products == Products::Bf16 || !is_here(&states) {
        return weights.map(|weight| fused::linear(states.clone(), weight, products, None));
    }
    let rows = states.dims()[0];
    let is_differentiated = states.is_autodiff() || weights.iter().any(Tensor::is_autodiff);
    if rows == 0 || rows > FEW_ROWS || is_differentiated {
        return weights.map(|weight| states.clone().matmul(weight));
    }
    let device = states.device();
    let states = primitive(states);
    let weights = weights.map(|weight| {
        // Holds since the states are on flex, and this is outside of autodiff.
        Weight::new(
            weight.try_into_primitive::<Flex>().expect("weights of the flex backend outside of autodiff"),
        )
    });
    let mut outputs = weights.each_ref().map(|weight| vec![0.0; rows * weight.outputs]);
    of_few(slice(&states), rows, &weights, &mut outputs);
    let mut outputs = outputs.into_iter();
    weights.map(|weight| matrix(outputs.next().unwrap_or_default(), [rows, weight.outputs], &device))
}

/// `W`, which may be a part of a tensor or stand transposed in it.
struct Weight {
    numbers: Floats,
    /// Where it begins in its memory.
    start: usize,
    inputs: usize,
    outputs: usize,
    /// Steps in memory from one input to the next, and from one output to the next.
    strides: [isize; 2],
}

impl Weight {
    fn new(numbers: Floats) -> Self {
        let layout = numbers.layout();
        let (start, shape, strides) = (layout.start_offset(), layout.shape(), layout.strides());
        let (inputs, outputs, strides) = (shape[0], shape[1], [strides[0], strides[1]]);
        // All of it is within the memory, whichever way the steps go.
        let reach = |count: usize, stride: isize| (count.saturating_sub(1) as isize) * stride;
        let steps = [reach(inputs, strides[0]), reach(outputs, strides[1])];
        let least = start as isize + steps.iter().map(|&step| step.min(0)).sum::<isize>();
        let most = start as isize + steps.iter().map(|&step| step.max(0)).sum::<isize>();
        assert!(
            least >= 0 && (most as usize) < numbers.storage::<f32>().len().max(1),
            "a layout in its memory"
        );
        Self { numbers, start, inputs, outputs, strides }
    }
}

/// Where some threads write, each its own outputs.
#[derive(Clone, Copy)]
struct Output(*mut f32);

#[allow(unsafe_code, reason = "threads write to different outputs")]
unsafe impl Send for Output {}

#[allow(unsafe_code, reason = "threads write to different outputs")]
unsafe impl Sync for Output {}

/// Fills `outputs`, `[rows, outputs]` of each of the weights.
fn of_few(states: &[f32], rows: usize, weights: &[Weight], outputs: &mut [Vec<f32>]) {
    for weight in weights {
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
fn of_one(states: &[f32], weights: &[Weight], outputs: &mut [Vec<f32>]) {
    let of_part = states.len().div_ceil(PARTS).next_multiple_of(AT_ONCE);
    let parts: Vec<Vec<Vec<f32>>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let first = (part * of_part).min(states.len());
            let inputs = first..(first + of_part).min(states.len());
            let sums_of = |weight: &Weight| {
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
fn of_thread_alone(states: &[f32], rows: usize, weight: &Weight, range: Range<usize>, output: Output) {
    // `[rows, outputs]` numbers are there, and `range` is within the outputs.
    let output = output.0.wrapping_add(range.start);
    if rows == 1 && weight.strides[1] == 1 {
        // Outputs of one row stand side by side, and no other thread has these.
        #[allow(unsafe_code, reason = "a part of a vector that no other thread has")]
        let output = unsafe { std::slice::from_raw_parts_mut(output, range.len()) };
        add_inputs(states, weight, 0..states.len(), range.start, output);
        return;
    }
    let [next_input, next_output] = weight.strides;
    let weights: &[f32] = weight.numbers.storage();
    let start = weight.start as isize + range.start as isize * next_output;
    // The pointers and strides are those of `rows · inputs` states, of the weights of these outputs, all in their memory as
    // checked, and of these columns of the output, which no other thread has.
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
fn add_inputs(states: &[f32], weight: &Weight, inputs: Range<usize>, first: usize, sums: &mut [f32]) {
    let weights: &[f32] = weight.numbers.storage();
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
    use crate::numbers::{to_vec, waves as numbers};

    fn assert_is_matmul(states: Tensor<2>, weight: Tensor<2>) {
        let expected = to_vec(&states.clone().matmul(weight.clone()));
        let found = to_vec(&product(states, weight, Products::F32));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
        }
    }

    #[test]
    fn it_is_burns_product() {
        for rows in [0, 1, 2, 7, FEW_ROWS, FEW_ROWS + 1] {
            for (inputs, outputs) in [(32, 64), (5, 3), (37, 130), (16, 1), (9, MANY_OUTPUTS + 500)] {
                assert_is_matmul(numbers([rows, inputs], 0.1), numbers([inputs, outputs], 0.2));
            }
        }
    }

    #[test]
    fn weights_may_be_a_part_or_transposed() {
        let weight = numbers([40, 24], 0.2);
        for rows in [1, 3] {
            assert_is_matmul(numbers([rows, 20], 0.1), weight.clone().narrow(0, 7, 20));
            assert_is_matmul(numbers([rows, 40], 0.1), weight.clone().narrow(1, 5, 12));
            assert_is_matmul(numbers([rows, 24], 0.1), weight.clone().transpose());
            assert_is_matmul(numbers([rows, 24], 0.1), weight.clone().narrow(0, 7, 20).transpose());
        }
    }

    #[test]
    fn several_weights_are_multiplied_at_once() {
        for rows in [1, 3, FEW_ROWS + 1] {
            let states = numbers([rows, 9], 0.1);
            let weights = [numbers([9, 40], 0.2), numbers([9, 3], 0.3), numbers([9, 70], 0.4)];
            for (found, weight) in
                products_of(states.clone(), weights.clone(), Products::F32).into_iter().zip(weights)
            {
                assert_eq!(to_vec(&found), to_vec(&product(states.clone(), weight, Products::F32)));
            }
        }
    }

    #[test]
    fn it_is_differentiated_as_burns() {
        let states = numbers([2, 5], 0.1).autodiff().require_grad();
        let output = product(states.clone(), numbers([5, 3], 0.2), Products::F32);
        let gradients = output.sum().backward();
        assert!(states.grad(&gradients).is_some());
    }
}
