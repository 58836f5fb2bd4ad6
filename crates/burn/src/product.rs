//! The product `x W` on any device, in 32-bit floats or with rounded factors.

use burn::tensor::Tensor;

use crate::{fused, numbers::is_here, settings::Products};

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
    fused::products_of(states, weights)
}

#[cfg(test)]
mod tests {
    use lancer_kernels::matmul::FEW_ROWS;

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
            for (inputs, outputs) in [(32, 64), (5, 3), (37, 130), (16, 1), (9, 16_884)] {
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
