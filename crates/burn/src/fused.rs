//! The operations of a layer, each with a derivative of its own, as extensions of Burn: on the processor kernels of this
//! crate, on GPUs those of [`gpu`](crate::gpu).
//!
//! Composed of Burn's operations they would take some forty passes over memory in each layer, on the processor each on one
//! core and into a tensor of its own, and training would spend as long in them as in the matrix products.

mod adapted;
mod attention;
mod autodiff;
pub(crate) mod gated;
mod linear;
pub(crate) mod lookup;
mod product;
mod rms_norm;
mod rotary;
pub(crate) mod spans;
mod stored;

use std::sync::Arc;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};
use lancer_model::Activation;

pub(crate) use lancer_kernels::attention::{AttentionShape, AttentionSpan};

use self::{adapted::Adapted, gated::Input, stored::AdaptedStored};
pub(crate) use self::{
    autodiff::Derived,
    gated::Gated,
    lookup::Lookup,
    product::products_of,
    rotary::{Direction, RotaryTable},
    spans::AttentionSpans,
};
use crate::{
    numbers::{Floats, compact, tensor},
    settings::Products,
    stored_weight::StoredWeight,
};

/// Numbers that one thread takes at a time.
const CHUNK: usize = 1 << 14;

#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub(crate) trait Fused: Backend {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;
    fn rotate(states: FloatTensor<Self>, rotary_table: Arc<RotaryTable>) -> FloatTensor<Self>;
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        shape: AttentionShape,
        products: Products,
        spans: Arc<AttentionSpans>,
    ) -> FloatTensor<Self>;
    fn adapted(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self>;
    fn linear(
        states: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self>;
    fn stored(states: FloatTensor<Self>, weight: Arc<StoredWeight>, products: Products) -> FloatTensor<Self>;
    fn adapted_stored(
        states: FloatTensor<Self>,
        weight: Arc<StoredWeight>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> FloatTensor<Self>;
    fn look_up(states: FloatTensor<Self>, lookup: Arc<Lookup>) -> FloatTensor<Self>;
}

/// RMS norm (Zhang & Sennrich 2019, arXiv 1910.07467) of each row of `states: [rows, width]`:
/// `x / √(mean(x²) + ε) · w`, with `weight: [1, width]`.
pub(crate) fn rms_norm(states: Tensor<2>, weight: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let (states, weight) = (states.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::rms_norm(states, weight, epsilon))
}

/// The rotary embedding of `states: [rows, heads · head_dim]`.
pub(crate) fn rotate(states: Tensor<2>, rotary_table: Arc<RotaryTable>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::rotate(states.into_dispatch(), rotary_table))
}

/// `activation(gate) · up` (Shazeer 2020, arXiv 2002.05202), number by number.
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::gated(gate, up, activation))
}

/// Causal attention with grouped queries: `query: [rows, heads · head_dim]` over `key` and `value: [tokens, kv_heads ·
/// head_dim]`, each of `spans` by itself. The spans' queries are all rows, in order. On the processor products are of 32-bit
/// floats always.
pub(crate) fn attend(
    query: Tensor<2>,
    key: Tensor<2>,
    value: Tensor<2>,
    shape: AttentionShape,
    products: Products,
    spans: Arc<AttentionSpans>,
) -> Tensor<2> {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::attend(query, key, value, shape, products, spans))
}

/// A frozen linear layer with an adapter, `x W + scale · x A B`, for `x: [rows, input]`, `weight: [input, output]`,
/// `down: [input, rank]` and `up: [rank, output]`; `gate` is what `x` was computed from, if it can be computed again.
pub(crate) fn adapted(
    states: Tensor<2>,
    weight: Tensor<2>,
    [down, up]: [Tensor<2>; 2],
    scale: f64,
    products: Products,
    gate: Option<Gated>,
) -> Tensor<2> {
    let [states, weight, down, up] = [states, weight, down, up].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Fused>::adapted(states, weight, down, up, scale, products, gate))
}

/// `states · weight`, for `states: [rows, input]` and `weight: [input, output]`; `gate` is what `states` were computed from, if
/// they can be computed again.
pub(crate) fn linear(
    states: Tensor<2>,
    weight: Tensor<2>,
    products: Products,
    gate: Option<Gated>,
) -> Tensor<2> {
    let (states, weight) = (states.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::linear(states, weight, products, gate))
}

/// `x Wᵀ` for `x: [rows, input]` and a frozen `weight: [output, input]` that stays as it is in its file; on the processor only.
pub(crate) fn stored(states: Tensor<2>, weight: Arc<StoredWeight>, products: Products) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::stored(states.into_dispatch(), weight, products))
}

/// As [`adapted`], over a matrix that stays as it is in its file; on the processor only.
pub(crate) fn adapted_stored(
    states: Tensor<2>,
    weight: Arc<StoredWeight>,
    [down, up]: [Tensor<2>; 2],
    scale: f64,
    products: Products,
    gate: Option<Gated>,
) -> Tensor<2> {
    let [states, down, up] = [states, down, up].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Fused>::adapted_stored(
        states, weight, down, up, scale, products, gate,
    ))
}

/// These rows of `states: [count, width]`, one after another.
pub(crate) fn look_up(states: Tensor<2>, lookup: Arc<Lookup>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::look_up(states.into_dispatch(), lookup))
}

impl Fused for Flex {
    fn rms_norm(states: Floats, weight: Floats, epsilon: f64) -> Floats {
        rms_norm::forward(states, weight, epsilon).output
    }

    fn rotate(states: Floats, rotary_table: Arc<RotaryTable>) -> Floats {
        rotary::rotate(states, &rotary_table, rotary::Direction::Forward)
    }

    fn gated(gate: Floats, up: Floats, activation: Activation) -> Floats {
        gated::forward(gate, up, activation)
    }

    fn attend(
        query: Floats,
        key: Floats,
        value: Floats,
        shape: AttentionShape,
        _: Products,
        spans: Arc<AttentionSpans>,
    ) -> Floats {
        let [query, key, value] = [query, key, value].map(compact);
        attention::forward([&query, &key, &value], shape, &spans).0
    }

    fn adapted(
        states: Floats,
        weight: Floats,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        _: Option<Gated>,
    ) -> Floats {
        Adapted { states: Input::Tensor(states), weight, down, up, scale, products }.forward()
    }

    fn linear(states: Floats, weight: Floats, products: Products, _: Option<Gated>) -> Floats {
        linear::forward(states, weight, products)
    }

    fn stored(states: Floats, weight: Arc<StoredWeight>, products: Products) -> Floats {
        stored::forward(states, &weight, products)
    }

    fn adapted_stored(
        states: Floats,
        weight: Arc<StoredWeight>,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        _: Option<Gated>,
    ) -> Floats {
        AdaptedStored { states: Input::Tensor(states), weight, down, up, scale, products }.forward()
    }

    fn look_up(states: Floats, lookup: Arc<Lookup>) -> Floats {
        lookup::forward(states, &lookup)
    }
}

impl Derived for Flex {
    type Normed = rms_norm::SavedNorm;
    type Attended = attention::SavedAttention;
    type Adapted = Adapted;
    type Linear = linear::SavedLinear;
    type AdaptedStored = AdaptedStored;

    fn rms_norm_saving(states: Floats, weight: Floats, epsilon: f64) -> (Floats, Self::Normed) {
        let normed = rms_norm::forward(states.clone(), weight.clone(), epsilon);
        let saved = normed.saved(states, weight);
        (normed.output, saved)
    }

    fn rms_norm_back(saved: Self::Normed, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
        rms_norm::backward(saved, by_output, wants_weight)
    }

    fn rotate_back(by_output: Floats, rotary_table: Arc<RotaryTable>) -> Floats {
        rotary::rotate(by_output, &rotary_table, Direction::Back)
    }

    fn gated_back(gate: Floats, up: Floats, activation: Activation, by_output: Floats) -> [Floats; 2] {
        gated::backward(gate, up, activation, by_output)
    }

    fn attend_saving(
        query: Floats,
        key: Floats,
        value: Floats,
        shape: AttentionShape,
        _: Products,
        spans: Arc<AttentionSpans>,
    ) -> (Floats, Self::Attended) {
        let [query, key, value] = [query, key, value].map(compact);
        let (output, log_sums) = attention::forward([&query, &key, &value], shape, &spans);
        (output, attention::SavedAttention { query, key, value, shape, spans, log_sums })
    }

    fn attend_back(saved: Self::Attended, by_output: Floats) -> [Floats; 3] {
        attention::backward(saved, by_output)
    }

    fn adapted_saving(
        states: Floats,
        weight: Floats,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, Self::Adapted) {
        let layer = Adapted { states: Input::Tensor(states.clone()), weight, down, up, scale, products };
        (layer.clone().forward(), Adapted { states: Input::new(states, gate), ..layer })
    }

    fn adapted_back(
        saved: Self::Adapted,
        by_output: Floats,
        wants_states: bool,
    ) -> (Option<Floats>, [Floats; 2]) {
        saved.backward(by_output, wants_states)
    }

    fn linear_saving(
        states: Floats,
        weight: Floats,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, Self::Linear) {
        let output = linear::forward(states.clone(), weight.clone(), products);
        (output, linear::SavedLinear { states: Input::new(states, gate), weight, products })
    }

    fn linear_back(saved: Self::Linear, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
        linear::backward(saved, by_output, wants)
    }

    fn stored_back(by_output: Floats, weight: Arc<StoredWeight>, products: Products) -> Floats {
        stored::backward(by_output, &weight, products)
    }

    fn adapted_stored_saving(
        states: Floats,
        weight: Arc<StoredWeight>,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, AdaptedStored) {
        let layer =
            AdaptedStored { states: Input::Tensor(states.clone()), weight, down, up, scale, products };
        (layer.clone().forward(), AdaptedStored { states: Input::new(states, gate), ..layer })
    }

    fn adapted_stored_back(
        saved: AdaptedStored,
        by_output: Floats,
        wants_states: bool,
    ) -> (Option<Floats>, [Floats; 2]) {
        saved.backward(by_output, wants_states)
    }

    fn look_up_back(by_output: Floats, lookup: Arc<Lookup>, count: usize) -> Floats {
        lookup::backward(by_output, &lookup, count)
    }
}

/// The same numbers as a tensor of Burn's.
fn matrix(numbers: Floats) -> Tensor<2> {
    Tensor::from_primitive::<Flex>(numbers)
}

#[cfg(test)]
mod tests;
