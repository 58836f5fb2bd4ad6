//! Matrix products: of 32-bit floats by kernels of this crate, of factors rounded to bf16 by `CubeK`.

use burn::{
    backend::{Cube, cubecl::dtype_to_storage_type, ops::FloatTensorOps},
    tensor::{self, DType, FloatDType, Shape},
};
use cubek::{
    matmul::{
        definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError},
        launch::launch_ref,
        multi_level::{Strategy, routines::batch::ordered_double_buffering::OrderedSelectionArgs},
        routine::BlueprintStrategy,
        strategy,
    },
    std::InputBinding,
};

use super::{Floats, beside, few_rows, floats, matrix, tiles};
use crate::settings::Products;

/// Products with so many numbers at most are divided into sums where each number is a sum of many: otherwise too few threads
/// would have too much to do.
const FEW_NUMBERS: usize = 1 << 20;
/// Summands from which on a sum is divided.
const LONG_SUM: usize = 2048;
/// Summands of each part.
const SUMMANDS: usize = 512;

/// `left · right`, matrices or batches of as many of them.
pub(super) fn product(left: Floats, right: Floats, products: Products) -> Floats {
    let shape = left.meta.shape();
    let (rank, inner) = (shape.num_dims(), *shape.last().unwrap_or(&0));
    let mut dims = shape.to_vec();
    dims[rank - 1] = right.meta.shape()[rank - 1];
    let numbers: usize = dims.iter().product();
    if inner == 0 || numbers == 0 {
        return Cube::float_zeros(Shape::from(dims), &left.device, FloatDType::F32);
    }
    match products {
        Products::F32 if rank == 2 && few_rows::is_made_for(&left, &right) => few_rows::product(left, right),
        Products::F32 if rank == 2 && inner >= LONG_SUM && numbers <= FEW_NUMBERS => {
            in_parts(matrix(left), matrix(right))
        }
        Products::F32 => tiles::product(left, right),
        Products::Bf16 => rounded(factor(left, products), factor(right, products), dims),
    }
}

/// A factor in the numbers in which it is multiplied, which it may be in already.
pub(super) fn factor(numbers: Floats, products: Products) -> Floats {
    match products {
        Products::Bf16 if numbers.dtype != DType::BF16 => Cube::float_cast(numbers, FloatDType::BF16),
        _ => numbers,
    }
}

/// The product of factors in bf16, in 32-bit floats.
fn rounded(left: Floats, right: Floats, dims: Vec<usize>) -> Floats {
    let output = beside(&left, dims);
    let factor = dtype_to_storage_type(left.dtype);
    let mut numbers = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: factor,
        rhs: factor,
        out: dtype_to_storage_type(output.dtype),
    });
    let [left, right] = [left, right].map(|tensor| InputBinding::new(tensor.binding(), factor));
    // What is the fastest on an H100 of those that are for GPUs with matrix units, unless the GPU has none.
    let fastest = OrderedSelectionArgs {
        partition_k: Some(2),
        row_count: Some(8),
        rows_per_plane: Some(2),
        ..OrderedSelectionArgs::default()
    };
    let fastest = Strategy::OrderedDoubleMma(BlueprintStrategy::Inferred(fastest)).into();
    let mut launch = |strategy| {
        let (left, right, written) = (left.clone(), right.clone(), output.clone().binding());
        launch_ref(strategy, &output.client, left, right, written, &mut numbers)
    };
    let launched = match launch(&fastest) {
        Err(MatmulSetupError::Unavailable(_)) => launch(&strategy::Strategy::Auto),
        launched => launched,
    };
    // Strategies for any size were chosen, and a GPU that fails is as memory that fails.
    launched.unwrap_or_else(|error| panic!("the GPU has no matrix product: {error:?}"));
    output
}

/// A product as the sum of products of parts of the inner dimension.
fn in_parts(left: tensor::Tensor<2>, right: tensor::Tensor<2>) -> Floats {
    let ([rows, inner], columns) = (left.dims(), right.dims()[1]);
    let (parts, whole) = (inner / SUMMANDS, inner / SUMMANDS * SUMMANDS);
    let of_left = left.clone().transpose().narrow(0, 0, whole).reshape([parts, SUMMANDS, rows]).transpose();
    let of_right = right.clone().narrow(0, 0, whole).reshape([parts, SUMMANDS, columns]);
    let multiply = |left, right| product(left, right, Products::F32);
    let products = matrix::<3>(multiply(floats(of_left), floats(of_right)));
    let sum = products.sum_dim(0).reshape([rows, columns]);
    if whole == inner {
        return floats(sum);
    }
    let rest = (left.narrow(1, whole, inner - whole), right.narrow(0, whole, inner - whole));
    floats(sum + matrix(multiply(floats(rest.0), floats(rest.1))))
}
