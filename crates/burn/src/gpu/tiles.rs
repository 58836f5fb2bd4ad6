//! Products of 32-bit floats, tile by tile: a cube of threads computes a square of the output, from squares of the factors that
//! it keeps in the memory that its threads share.
//!
//! `CubeK`, whose products Burn uses, rounds the factors of 32-bit floats to TF32 where a GPU has it, which leaves
//! ten bits of their fractions.

use burn::cubecl;
use cubecl::prelude::*;

use super::{Floats, beside};

/// Threads along each side of a cube.
const THREADS: usize = 16;
/// Summands that are in the shared memory at once.
const SUMMANDS: usize = 16;
/// With so many cubes of large squares a GPU has enough to do.
const ENOUGH_CUBES: usize = 128;

/// How a matrix stands in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The numbers of a row one after another, or in no order.
    Rows,
    Columns,
}

impl Order {
    fn of(matrix: &Floats) -> Self {
        let strides = matrix.meta.strides();
        let [next_row, next_column] = [strides[strides.len() - 2], strides[strides.len() - 1]];
        if next_column != 1 && next_row == 1 { Self::Columns } else { Self::Rows }
    }
}

/// `left · right`, for matrices or batches of as many of them, with at least one number each.
pub(super) fn product(left: Floats, right: Floats) -> Floats {
    let [batch, rows, inner] = dims(&left);
    let columns = dims(&right)[2];
    let mut shape = left.meta.shape().to_vec();
    let rank = shape.len();
    shape[rank - 1] = columns;
    let output = beside(&left, shape);
    let cubes = |side: usize| [columns.div_ceil(THREADS * side), rows.div_ceil(THREADS * side), batch];
    // Numbers that a thread computes along each side of its square.
    let side = if cubes(8).iter().product::<usize>() >= ENOUGH_CUBES { 8 } else { 4 };
    let [across, down, batch] = cubes(side).map(|cubes| cubes as u32);
    let orders = [Order::of(&left), Order::of(&right)];
    let client = left.client.clone();
    #[allow(unsafe_code, reason = "what is read and written is within the matrices, which the kernel checks")]
    unsafe {
        multiplied::launch_unchecked(
            &client,
            CubeCount::Static(across, down, batch),
            CubeDim::new_2d(THREADS as u32, THREADS as u32),
            left.into_tensor_arg(),
            right.into_tensor_arg(),
            output.clone().into_tensor_arg(),
            rows,
            inner,
            columns,
            rank,
            side,
            orders[0] == Order::Rows,
            orders[1] == Order::Rows,
        );
    }
    output
}

/// How many matrices, their rows and columns.
fn dims(matrices: &Floats) -> [usize; 3] {
    match *matrices.meta.shape().as_slice() {
        [batch, rows, columns] => [batch, rows, columns],
        ref shape => [1, shape[0], shape[1]],
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn multiplied(
    left: &Tensor<f32>,
    right: &Tensor<f32>,
    output: &mut Tensor<f32>,
    rows: usize,
    inner: usize,
    columns: usize,
    #[comptime] rank: usize,
    #[comptime] side: usize,
    #[comptime] left_by_rows: bool,
    #[comptime] right_by_rows: bool,
) {
    let width = comptime!(THREADS * side);
    let pitch = comptime!(width + 1);
    let count = comptime!(width * SUMMANDS / (THREADS * THREADS));
    let (across, down) = (UNIT_POS_X as usize, UNIT_POS_Y as usize);
    let (first_row, first_column) = (CUBE_POS_Y as usize * width, CUBE_POS_X as usize * width);
    let mut of_left = first_row * left.stride(comptime!(rank - 2));
    let mut of_right = first_column * right.stride(comptime!(rank - 1));
    if comptime!(rank == 3) {
        of_left += CUBE_POS_Z as usize * left.stride(0);
        of_right += CUBE_POS_Z as usize * right.stride(0);
    }
    let left_steps = (left.stride(comptime!(rank - 2)), left.stride(comptime!(rank - 1)));
    let right_steps = (right.stride(comptime!(rank - 1)), right.stride(comptime!(rank - 2)));
    let mut lefts = Shared::<[f32]>::new_slice(comptime!(pitch * SUMMANDS));
    let mut rights = Shared::<[f32]>::new_slice(comptime!(pitch * SUMMANDS));
    let mut next_left = Array::<f32>::new(count);
    let mut next_right = Array::<f32>::new(count);
    let mut sums = Array::<f32>::new(comptime!(side * side));
    let mut one = Array::<f32>::new(side);
    let mut other = Array::<f32>::new(side);
    #[unroll]
    for place in 0..comptime!(side * side) {
        sums[place] = 0.0;
    }

    let by_summand = comptime!(!right_by_rows);
    read(left, &mut next_left, of_left, left_steps, rows - first_row, 0, inner, width, left_by_rows);
    read(right, &mut next_right, of_right, right_steps, columns - first_column, 0, inner, width, by_summand);
    let mut start = 0usize;
    while start < inner {
        keep(&next_left, &mut lefts, width, left_by_rows);
        keep(&next_right, &mut rights, width, by_summand);
        sync_cube();
        start += SUMMANDS;
        // What comes next is on its way while this is computed.
        if start < inner {
            read(
                left,
                &mut next_left,
                of_left,
                left_steps,
                rows - first_row,
                start,
                inner,
                width,
                left_by_rows,
            );
            read(
                right,
                &mut next_right,
                of_right,
                right_steps,
                columns - first_column,
                start,
                inner,
                width,
                by_summand,
            );
        }
        #[unroll]
        for summand in 0..SUMMANDS {
            #[unroll]
            for place in 0..side {
                one[place] = lefts[summand * pitch + place * THREADS + down];
                other[place] = rights[summand * pitch + place * THREADS + across];
            }
            #[unroll]
            for row in 0..side {
                #[unroll]
                for column in 0..side {
                    sums[row * side + column] += one[row] * other[column];
                }
            }
        }
        sync_cube();
    }

    let to = CUBE_POS_Z as usize * rows * columns;
    #[unroll]
    for row in 0..side {
        #[unroll]
        for column in 0..side {
            let (down, across) = (first_row + row * THREADS + down, first_column + column * THREADS + across);
            if down < rows && across < columns {
                output[to + down * columns + across] = sums[row * side + column];
            }
        }
    }
}

/// Reads a thread's part of a square of a factor: of so many lines (rows of the left factor, columns of the right one)
/// [`SUMMANDS`] each. Threads beside each other read what stands beside each other, by summands or by lines.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel has no structures")]
fn read(
    factor: &Tensor<f32>,
    numbers: &mut Array<f32>,
    from: usize,
    steps: (usize, usize),
    lines: usize,
    start: usize,
    inner: usize,
    #[comptime] width: usize,
    #[comptime] by_summand: bool,
) {
    let thread = UNIT_POS as usize;
    #[unroll]
    for step in 0..comptime!(width * SUMMANDS / (THREADS * THREADS)) {
        let place = thread + step * comptime!(THREADS * THREADS);
        let line = if comptime!(by_summand) { place / SUMMANDS } else { place % width };
        let summand = start + if comptime!(by_summand) { place % SUMMANDS } else { place / width };
        let mut number = f32::new(0.0);
        if line < lines && summand < inner {
            number = factor[from + line * steps.0 + summand * steps.1];
        }
        numbers[step] = number;
    }
}

/// Writes to the shared memory what [`read`] has read, summand by summand.
#[cube]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what the macro takes for an array is small")]
fn keep(
    numbers: &Array<f32>,
    shared: &mut Shared<[f32]>,
    #[comptime] width: usize,
    #[comptime] by_summand: bool,
) {
    let thread = UNIT_POS as usize;
    // One more, so that threads that write numbers of a line write to different banks.
    let pitch = comptime!(width + 1);
    #[unroll]
    for step in 0..comptime!(width * SUMMANDS / (THREADS * THREADS)) {
        let place = thread + step * comptime!(THREADS * THREADS);
        let line = if comptime!(by_summand) { place / SUMMANDS } else { place % width };
        let summand = if comptime!(by_summand) { place % SUMMANDS } else { place / width };
        shared[summand * pitch + line] = numbers[step];
    }
}
