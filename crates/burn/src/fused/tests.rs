//! Each kernel against the same composed of Burn's own operations, forward and backward.

#![allow(clippy::single_range_in_vec_init, reason = "keys are lists of ranges, of one too")]

use std::ops::Range;

use burn::tensor::{Device, TensorData, activation};
use lancer_model::{Rotary, RotaryScaling};

use super::*;
use crate::{
    device,
    numbers::{matrix, to_vec, waves as numbers},
    product::product,
};

fn assert_close(found: Tensor<2>, expected: Tensor<2>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected): (Vec<f32>, Vec<f32>) =
        (found.into_data().try_into_vec().unwrap(), expected.into_data().try_into_vec().unwrap());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
    }
}

/// Both functions of the same inputs, the first on every device: their outputs, and the gradients by each input of a weighted
/// sum of the output.
fn compare<const N: usize>(
    inputs: &[Tensor<2>; N],
    fused: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    composed: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) {
    let gradients = |function: &dyn Fn([Tensor<2>; N]) -> Tensor<2>, device: &Device| {
        let leaves = inputs.clone().map(|input| input.to_device(device).autodiff().require_grad());
        let output = function(leaves.clone());
        let weights = numbers(output.dims(), 0.9).to_device(device);
        let gradients = (output.clone() * weights).sum().backward();
        (output.inner(), leaves.map(|leaf| leaf.grad(&gradients).unwrap()))
    };
    let (expected, expected_by) = gradients(&composed, &Device::flex());
    for device in device::all() {
        let plain = fused(inputs.clone().map(|input| input.to_device(&device)));
        assert_close(plain, expected.clone(), 1e-5);
        let (found, by) = gradients(&fused, &device);
        assert_close(found, expected.clone(), 1e-5);
        for (by, expected) in by.into_iter().zip(expected_by.clone()) {
            assert_close(by, expected, 1e-4);
        }
    }
}

#[test]
fn rms_norm_is_its_formula() {
    compare(
        &[numbers([70, 24], 0.1), numbers([1, 24], 0.2)],
        |[states, weight]| rms_norm(states, weight, 1e-3),
        |[states, weight]| {
            let mean_square = (states.clone() * states.clone()).mean_dim(1);
            states * (mean_square + 1e-3).sqrt().recip() * weight
        },
    );
}

/// The norm's input cannot be computed from what it gives where a weight is 0.
#[test]
fn a_weight_of_a_norm_may_be_zero() {
    let weight = matrix(vec![0.5, 0.0, -2.0, 1e-30], [1, 4], &Device::flex());
    compare(
        &[numbers([40, 4], 0.1), weight],
        |[states, weight]| rms_norm(states, weight, 1e-3),
        |[states, weight]| {
            let mean_square = (states.clone() * states.clone()).mean_dim(1);
            states * (mean_square + 1e-3).sqrt().recip() * weight
        },
    );
}

#[test]
fn gated_activations_are_their_formulas() {
    let inputs = [numbers([33, 24], 0.1) * 3.0, numbers([33, 24], 0.2)];
    compare(
        &inputs,
        |[gate, up]| gated(gate, up, Activation::Silu),
        |[gate, up]| activation::silu(gate) * up,
    );
    compare(
        &inputs,
        |[gate, up]| gated(gate, up, Activation::GeluTanh),
        |[gate, up]| {
            let inner = gate.clone() + gate.clone().powi_scalar(3) * 0.044_715;
            gate * 0.5 * ((inner * std::f32::consts::FRAC_2_PI.sqrt()).tanh() + 1.0) * up
        },
    );
}

/// The rotary embedding by its formula in transformers: `x · cos + rotate_half(x) · sin`.
fn composed_rotation(states: Tensor<2>, positions: &[usize], head_dim: usize, theta: f32) -> Tensor<2> {
    let [rows, width] = states.dims();
    let half = head_dim / 2;
    let table = |of: fn(f32) -> f32| {
        let angles = positions.iter().flat_map(|&position| {
            (0..width).map(move |i| position as f32 / theta.powf((2 * (i % half)) as f32 / head_dim as f32))
        });
        let table: Vec<f32> = angles.map(of).collect();
        Tensor::<2>::from_data(TensorData::new(table, [rows, width]), &Device::flex())
    };
    let heads = states.clone().reshape([rows, width / head_dim, head_dim]);
    let (first, second) = (heads.clone().narrow(2, 0, half), heads.narrow(2, half, half));
    let turned = Tensor::cat(vec![second.neg(), first], 2).reshape([rows, width]);
    states * table(f32::cos) + turned * table(f32::sin)
}

#[test]
fn the_rotary_embedding_is_its_formula() {
    let positions = [0, 1, 2, 7, 30, 2];
    let rotary = Rotary { theta: 500.0, scaling: RotaryScaling::None };
    let rotary_table = || Arc::new(RotaryTable::new(&rotary, 8, &positions));
    compare(
        &[numbers([6, 32], 0.3)],
        |[states]| rotate(states, rotary_table()),
        |[states]| composed_rotation(states, &positions, 8, 500.0),
    );
}

/// Attention of one span, head by head.
fn composed_attention(
    [query, key, value]: [Tensor<2>; 3],
    heads: AttentionShape,
    span: &AttentionSpan,
) -> Tensor<2> {
    let (rows, width) = (span.queries.len(), heads.head_dim);
    let keys: usize = span.keys.iter().map(Range::len).sum();
    let window = heads.window.unwrap_or(keys);
    let seen = |key, own| key <= own && key + window > own;
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..keys).map(move |key| if seen(key, keys - rows + row) { 0.0 } else { -1e9 }))
        .collect();
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [rows, keys]), &Device::flex());
    let known = |all: &Tensor<2>, head: usize| {
        let of_head = all.clone().narrow(1, head * width, width);
        let parts = span.keys.iter().map(|rows| of_head.clone().narrow(0, rows.start, rows.len()));
        Tensor::cat(parts.collect(), 0)
    };
    let outputs = (0..heads.heads).map(|head| {
        let query = query.clone().narrow(0, span.queries.start, rows).narrow(1, head * width, width);
        let kv_head = head / (heads.heads / heads.kv_heads);
        let scores = query.matmul(known(&key, kv_head).transpose()) * heads.scale + mask.clone();
        activation::softmax(scores, 1).matmul(known(&value, kv_head))
    });
    Tensor::cat(outputs.collect(), 1)
}

#[test]
fn attention_is_its_formula() {
    let heads = AttentionShape { heads: 4, kv_heads: 2, head_dim: 8, scale: 0.3, window: None };
    let spans = vec![
        AttentionSpan { queries: 0..5, keys: vec![0..5] },
        AttentionSpan { queries: 5..8, keys: vec![0..5, 5..8] },
        AttentionSpan { queries: 8..9, keys: vec![0..5, 8..9] },
        AttentionSpan { queries: 9..13, keys: vec![9..13] },
    ];
    for window in [None, Some(1), Some(3), Some(6), Some(100)] {
        let heads = AttentionShape { window, ..heads };
        compare(
            &[numbers([13, 32], 0.3), numbers([13, 16], 0.4), numbers([13, 16], 0.5)],
            |[query, key, value]| {
                attend(query, key, value, heads, Products::F32, Arc::new(spans.clone().into()))
            },
            |inputs| {
                let parts = spans.iter().map(|span| composed_attention(inputs.clone(), heads, span));
                Tensor::cat(parts.collect(), 0)
            },
        );
    }
}

#[test]
fn attention_of_several_blocks_is_its_formula() {
    let heads = AttentionShape { heads: 4, kv_heads: 2, head_dim: 8, scale: 0.3, window: None };
    let spans = vec![
        AttentionSpan { queries: 0..150, keys: vec![0..150] },
        AttentionSpan { queries: 150..240, keys: vec![0..40, 150..240] },
        AttentionSpan { queries: 240..310, keys: vec![310..400, 240..310] },
        AttentionSpan { queries: 310..313, keys: vec![0..100, 310..313] },
    ];
    for window in [None, Some(20), Some(64), Some(100)] {
        let heads = AttentionShape { window, ..heads };
        compare(
            &[numbers([313, 32], 0.3), numbers([400, 16], 0.4), numbers([400, 16], 0.5)],
            |[query, key, value]| {
                attend(query, key, value, heads, Products::F32, Arc::new(spans.clone().into()))
            },
            |inputs| {
                let parts = spans.iter().map(|span| composed_attention(inputs.clone(), heads, span));
                Tensor::cat(parts.collect(), 0)
            },
        );
    }
}

#[test]
fn many_queries_and_few_ones_attend_alike() {
    let heads = AttentionShape { heads: 6, kv_heads: 2, head_dim: 40, scale: 0.2, window: None };
    // Rows of a cache: in no order, some of them shared, some unused.
    let spans = vec![
        AttentionSpan { queries: 0..20, keys: vec![30..60, 4..20] },
        AttentionSpan { queries: 20..23, keys: vec![30..50, 0..4] },
        AttentionSpan { queries: 23..24, keys: vec![30..50, 60..61, 21..22] },
    ];
    for window in [None, Some(5), Some(100)] {
        let heads = AttentionShape { window, ..heads };
        let inputs = [numbers([24, 240], 0.3), numbers([64, 80], 0.4), numbers([64, 80], 0.5)];
        let parts = spans.iter().map(|span| composed_attention(inputs.clone(), heads, span));
        let expected = Tensor::cat(parts.collect(), 0);
        for device in device::all() {
            let [query, key, value] = inputs.clone().map(|input| input.to_device(&device));
            let found = attend(query, key, value, heads, Products::F32, Arc::new(spans.clone().into()));
            assert_close(found, expected.clone(), 1e-5);
        }
    }
}

/// More than are taken at once on GPUs.
#[test]
fn many_queries_attend_in_pieces() {
    let heads = AttentionShape { heads: 2, kv_heads: 1, head_dim: 8, scale: 0.3, window: None };
    let span = AttentionSpan { queries: 0..700, keys: vec![720..790, 0..700] };
    for window in [None, Some(90)] {
        let heads = AttentionShape { window, ..heads };
        let inputs = [numbers([700, 16], 0.3), numbers([800, 8], 0.4), numbers([800, 8], 0.5)];
        compare(
            &inputs,
            |[query, key, value]| {
                attend(query, key, value, heads, Products::F32, Arc::new(vec![span.clone()].into()))
            },
            |inputs| composed_attention(inputs, heads, &span),
        );
    }
}

#[test]
fn few_queries_that_share_keys_attend_as_each_alone() {
    let heads = AttentionShape { heads: 6, kv_heads: 2, head_dim: 40, scale: 0.2, window: None };
    let spans = vec![
        // Three that begin alike, as far as the third does.
        AttentionSpan { queries: 0..1, keys: vec![0..70, 100..130, 150..151] },
        AttentionSpan { queries: 1..4, keys: vec![0..70, 100..120, 160..180] },
        AttentionSpan { queries: 4..6, keys: vec![0..90, 200..202] },
        // Two that have too little in common with those, and with each other.
        AttentionSpan { queries: 6..9, keys: vec![0..40, 220..240] },
        AttentionSpan { queries: 9..12, keys: vec![0..40, 241..250] },
        // One that has many keys before its own.
        AttentionSpan { queries: 12..24, keys: vec![30..170, 220..230] },
        AttentionSpan { queries: 24..48, keys: vec![30..170, 180..210] },
    ];
    for window in [None, Some(30), Some(110), Some(500)] {
        let heads = AttentionShape { window, ..heads };
        compare(
            &[numbers([48, 240], 0.3), numbers([260, 80], 0.4), numbers([260, 80], 0.5)],
            |[query, key, value]| {
                attend(query, key, value, heads, Products::F32, Arc::new(spans.clone().into()))
            },
            |inputs| {
                let parts = spans.iter().map(|span| composed_attention(inputs.clone(), heads, span));
                Tensor::cat(parts.collect(), 0)
            },
        );
    }
}

#[test]
fn attention_looks_back_into_a_cache() {
    let heads = AttentionShape { heads: 4, kv_heads: 2, head_dim: 8, scale: 0.3, window: None };
    let span = AttentionSpan { queries: 0..3, keys: vec![0..7] };
    for window in [None, Some(2), Some(6)] {
        let heads = AttentionShape { window, ..heads };
        compare(
            &[numbers([3, 32], 0.3), numbers([7, 16], 0.4), numbers([7, 16], 0.5)],
            |[query, key, value]| {
                attend(query, key, value, heads, Products::F32, Arc::new(vec![span.clone()].into()))
            },
            |inputs| composed_attention(inputs, heads, &span),
        );
    }
}

/// Few rows and many, sums that are divided, and sizes that are a multiple of nothing.
#[test]
fn a_product_is_its_formula() {
    for [rows, inputs, outputs] in [[1, 40, 70], [7, 33, 45], [32, 64, 33], [70, 50, 20], [9, 2100, 31]] {
        let sizes = 1.0 / (inputs as f32).sqrt();
        let inputs = [numbers([rows, inputs], 0.1) * sizes, numbers([inputs, outputs], 0.2)];
        compare(
            &inputs,
            |[states, weight]| linear(states, weight, Products::F32, None),
            |[states, weight]| states.matmul(weight),
        );
        // Weights that stand in memory the other way round.
        let transposed = |weight: Tensor<2>| {
            let copy = to_vec(&weight.clone().transpose());
            let [inputs, outputs] = weight.dims();
            matrix(copy, [outputs, inputs], &weight.device()).transpose()
        };
        let [states, weight] = inputs;
        for device in device::all() {
            let [states, weight] =
                [&states, &transposed(weight.clone())].map(|one| one.clone().to_device(&device));
            let found = linear(states.clone(), weight.clone(), Products::F32, None);
            assert_close(
                found,
                states.to_device(&Device::flex()).matmul(weight.to_device(&Device::flex())),
                1e-5,
            );
        }
    }
}

#[test]
fn what_is_looked_up_comes_back_to_its_rows() {
    let places = [Some(3), None, Some(0), Some(3), Some(7), Some(3)];
    compare(
        &[numbers([8, 5], 0.1)],
        |[states]| {
            let found = look_up(states, Arc::new(Lookup::new(places)));
            // Nothing is of padding.
            let known = matrix(vec![1.0, 0.0, 1.0, 1.0, 1.0, 1.0], [6, 1], &Device::flex());
            found.clone() * known.to_device(&found.device().inner())
        },
        |[states]| {
            let rows = places.map(|row| row.map(|row| states.clone().narrow(0, row, 1)));
            let nothing = Tensor::zeros([1, 5], &Device::flex());
            Tensor::cat(rows.map(|row| row.unwrap_or(nothing.clone())).into(), 0)
        },
    );
}

#[test]
fn an_adapted_layer_is_its_formula() {
    let weight = numbers([12, 10], 0.8);
    // Fewer rows than are merged for, and more.
    for rows in [5, 300] {
        compare(
            &[numbers([rows, 12], 0.1), numbers([12, 3], 0.2), numbers([3, 10], 0.3) * 0.1],
            |[states, down, up]| {
                let weight = weight.clone().to_device(&states.device().inner());
                adapted(states, weight, [down, up], 1.5, Products::F32, None)
            },
            |[states, down, up]| states.clone().matmul(weight.clone()) + states.matmul(down).matmul(up) * 1.5,
        );
    }
}

#[test]
fn gated_states_are_computed_again() {
    let weight = numbers([12, 10], 0.8);
    let inputs =
        [numbers([33, 12], 0.1), numbers([33, 12], 0.2), numbers([12, 3], 0.4), numbers([3, 10], 0.3)];
    let [gate, up, _, _] = inputs.clone();
    compare(
        &[gate, up, weight.clone()],
        |[gate, up, weight]| {
            let again = Gated::of(&gate, &up, Activation::Silu);
            linear(gated(gate, up, Activation::Silu), weight, Products::F32, again)
        },
        |[gate, up, weight]| (activation::silu(gate) * up).matmul(weight),
    );
    compare(
        &inputs,
        |[gate, up, a, b]| {
            let again = Gated::of(&gate, &up, Activation::Silu);
            let weight = weight.clone().to_device(&gate.device().inner());
            adapted(gated(gate, up, Activation::Silu), weight, [a, b], 1.5, Products::F32, again)
        },
        |[gate, up, a, b]| {
            let states = activation::silu(gate) * up;
            states.clone().matmul(weight.clone()) + states.matmul(a).matmul(b) * 1.5
        },
    );
}

/// Products of factors that bf16 holds exactly: what is left is the rounding of what comes out, 2⁻⁸ of it at most. Of other
/// factors the digits are lost.
#[test]
fn a_rounded_product_is_the_product_of_rounded_factors() {
    let exact = |shape, phase| (numbers(shape, phase) * 64.0).round() / 64.0;
    let products = |inputs: &[Tensor<2>; 2], products| {
        let [states, weight] = inputs.clone().map(|input| input.autodiff().require_grad());
        let output = product(states.clone(), weight.clone(), products);
        let weights = exact([70, 50], 0.9);
        let gradients = (output.clone() * weights).sum().backward();
        [output.inner(), states.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap()]
    };
    let inputs = [exact([70, 33], 0.1), exact([33, 50], 0.2)];
    let of_plain = products(&inputs, Products::F32);
    for (found, expected) in products(&inputs, Products::Bf16).into_iter().zip(of_plain) {
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        assert_close(found, expected, largest / 256.0);
    }
    let inputs = [numbers([70, 33], 0.1), numbers([33, 50], 0.2)];
    let of_plain = products(&inputs, Products::F32);
    for (found, expected) in products(&inputs, Products::Bf16).into_iter().zip(of_plain) {
        assert!((found - expected).abs().max().into_scalar::<f32>() > 1e-4, "nothing was rounded");
    }
}

/// On each device that has them; what is not rounded is close by.
#[test]
fn rounded_products_have_derivatives() {
    let heads = AttentionShape { heads: 4, kv_heads: 2, head_dim: 8, scale: 0.3, window: None };
    let spans = || Arc::new(vec![AttentionSpan { queries: 0..70, keys: vec![0..70] }].into());
    let functions: [&dyn Fn([Tensor<2>; 3], Products) -> Tensor<2>; 2] = [
        &|[query, key, value], products| attend(query, key, value, heads, products, spans()),
        &|[query, key, value], products| {
            let down = key.clone().transpose();
            let low = linear(query.narrow(1, 0, 16), value.transpose(), products, None);
            linear(low, down.transpose(), products, None)
        },
    ];
    let inputs = [numbers([70, 32], 0.3), numbers([70, 16], 0.4), numbers([70, 16], 0.5)];
    let able = device::all()
        .filter(|device| *device == Device::flex() || device.supports_dtype(burn::tensor::DType::BF16));
    for (device, function) in able.flat_map(|device| functions.map(|function| (device.clone(), function))) {
        let gradients = |products| {
            let leaves = inputs.clone().map(|input| input.to_device(&device).autodiff().require_grad());
            let output = function(leaves.clone(), products);
            let weights = numbers(output.dims(), 0.9).to_device(&device);
            let gradients = (output.clone() * weights).sum().backward();
            let [query, key, value] = leaves.map(|leaf| leaf.grad(&gradients).unwrap());
            [output.inner(), query, key, value]
        };
        for (found, expected) in gradients(Products::Bf16).into_iter().zip(gradients(Products::F32)) {
            let largest = expected.clone().abs().max().into_scalar::<f32>();
            assert_close(found, expected, largest / 40.0);
        }
    }
}

#[test]
fn factors_may_be_a_part_or_transposed() {
    let [one, two] = [numbers([40, 24], 0.1), numbers([24, 30], 0.2)];
    let rounded = |one, two| linear(one, two, Products::Bf16, None);
    let expected = rounded(one.clone(), two.clone());
    let copy = |whole: Tensor<2>| matrix(to_vec(&whole), whole.dims(), &Device::flex());
    let transposed = |matrix: &Tensor<2>| copy(matrix.clone().transpose()).transpose();
    assert_close(rounded(transposed(&one), transposed(&two)), expected, 1e-6);
    let (part, whole) = (one.clone().narrow(0, 5, 20), one.transpose().narrow(1, 5, 20));
    let expected = rounded(copy(part.clone()), two.clone());
    assert_close(rounded(part, two.clone()), expected.clone(), 1e-6);
    assert_close(rounded(whole.transpose(), two), expected, 1e-6);
}

#[test]
fn an_adapter_beside_rounded_weights_keeps_its_digits() {
    let weight = numbers([12, 10], 0.8);
    for rows in [5, 300] {
        let [states, down, up] =
            [numbers([rows, 12], 0.1), numbers([12, 3], 0.2) * 1e-3, numbers([3, 10], 0.3)];
        let of = |up: Tensor<2>| {
            adapted(states.clone(), weight.clone(), [down.clone(), up], 1.5, Products::Bf16, None)
        };
        let added = of(up.clone()) - of(up.clone() * 0.0);
        assert_close(added, states.clone().matmul(down.clone()).matmul(up) * 1.5, 1e-6);
    }
}
