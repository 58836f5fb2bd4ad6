//! Lookup of a matrix that are looked up, written, or added to: a thread a number. Burn's own writing and adding have a thread a
//! column, which goes over all rows.

#![allow(clippy::used_underscore_binding, reason = "a kernel's argument that only names a type")]

use burn::{
    backend::cubecl::dtype_to_storage_type,
    cubecl,
    tensor::{self, Int},
};
use cubecl::prelude::*;

use super::{Floats, dims, floats, integers, matrix, number, threads, writable};
use crate::fused::lookup::{Lists, Lookup};

/// These rows of `[count, width]`, one after another.
pub(super) fn look_up(states: Floats, lookup: &Lookup) -> Floats {
    let states = matrix::<2>(states);
    let lists = lookup.lists(&states.device());
    floats(states.select(0, lists.rows.clone()))
}

/// The sums of what comes back to each of `count` rows.
pub(super) fn add_back(by_rows: Floats, lookup: &Lookup, count: usize) -> Floats {
    let by_rows = matrix::<2>(by_rows);
    let sums = tensor::Tensor::zeros([count, by_rows.dims()[1]], &by_rows.device());
    floats(add_rows(sums, &by_rows, lookup))
}

/// Adds to rows of `sums: [count, width]`, in place where nothing else holds them.
pub(crate) fn add_rows(
    sums: tensor::Tensor<2>,
    new: &tensor::Tensor<2>,
    lookup: &Lookup,
) -> tensor::Tensor<2> {
    let Lists { places, sums: of_rows, distinct, .. } = lookup.lists(&new.device());
    let (sums, new) = (writable(sums), floats(new.clone()));
    let numbers = distinct * dims(&new)[1];
    if numbers > 0 {
        let (of_rows, places) = (integers(of_rows), integers(places));
        let client = sums.client.clone();
        let (cubes, units) = threads(&sums, numbers);
        let integer = dtype_to_storage_type(places.dtype);
        added::launch(
            &client,
            cubes,
            units,
            sums.clone().into_tensor_arg(),
            new.into_tensor_arg(),
            of_rows.into_tensor_arg(),
            places.into_tensor_arg(),
            *distinct,
            integer,
        );
    }
    matrix(sums)
}

/// Writes rows of `all: [count, width]`, each once, in place where nothing else holds them.
pub(crate) fn put(
    all: tensor::Tensor<2>,
    new: &tensor::Tensor<2>,
    rows: &tensor::Tensor<1, Int>,
) -> tensor::Tensor<2> {
    let (all, new) = (writable(all), floats(new.clone()));
    let numbers = dims(&new).iter().product();
    if numbers > 0 {
        let rows = integers(rows);
        let client = all.client.clone();
        let (cubes, units) = threads(&all, numbers);
        let integer = dtype_to_storage_type(rows.dtype);
        written::launch(
            &client,
            cubes,
            units,
            all.clone().into_tensor_arg(),
            new.into_tensor_arg(),
            rows.into_tensor_arg(),
            integer,
        );
    }
    matrix(all)
}

#[cube(launch)]
fn added<I: Numeric>(
    sums: &mut Tensor<f32>,
    new: &Tensor<f32>,
    of_rows: &Tensor<I>,
    places: &Tensor<I>,
    distinct: usize,
    #[define(I)] _integer: ElemType,
) {
    let width = new.shape(1);
    let (sum, column) = (ABSOLUTE_POS / width, ABSOLUTE_POS % width);
    if sum >= distinct {
        terminate!();
    }
    let row = u32::cast_from(of_rows[3 * sum]) as usize;
    let mut place = u32::cast_from(of_rows[3 * sum + 1]) as usize;
    let end = u32::cast_from(of_rows[3 * sum + 2]) as usize;
    let to = row * sums.stride(0) + column * sums.stride(1);
    let mut total = sums[to];
    while place < end {
        let from = u32::cast_from(places[place]) as usize;
        total += number(new, from, column);
        place += 1;
    }
    sums[to] = total;
}

#[cube(launch)]
fn written<I: Numeric>(
    all: &mut Tensor<f32>,
    new: &Tensor<f32>,
    rows: &Tensor<I>,
    #[define(I)] _integer: ElemType,
) {
    let width = new.shape(1);
    let (from, column) = (ABSOLUTE_POS / width, ABSOLUTE_POS % width);
    if from >= new.shape(0) {
        terminate!();
    }
    let row = u32::cast_from(rows[from]) as usize;
    let to = row * all.stride(0) + column * all.stride(1);
    all[to] = number(new, from, column);
}
