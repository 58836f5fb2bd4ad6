//! The operations of a layer, each with a derivative of its own, as extensions of Burn: on the processor kernels of this
//! crate, on graphics cards those of [`card`](crate::card).
//!
//! Composed of Burn's operations they would take some forty passes over memory in each layer, on the processor each on one
//! core and into a tensor of its own, and training would spend as long in them as in the matrix products.

mod adapted;
mod attention;
mod autodiff;
pub(crate) mod gated;
mod linear;
pub(crate) mod lookup;
mod paged;
pub(crate) mod reach;
mod rms_norm;
mod rotary;
mod rounded;
mod stored;

use std::sync::Arc;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};
use lancer_model::Activation;

use self::{adapted::Adapted, gated::States, stored::AdaptedStored};
pub(crate) use self::{
    attention::AttentionShape,
    autodiff::Derived,
    gated::Gated,
    lookup::Lookup,
    paged::{Block, PAGE, Seen},
    reach::{Reach, Reaches},
    rotary::{Direction, Turns},
    rounded::{Factor, View, product as rounded_product, round, widen},
};
use crate::{
    numbers::{Floats, tensor},
    settings::Products,
    stored_weight::StoredWeight,
};

/// Numbers that one thread takes at a time.
const CHUNK: usize = 1 << 14;

#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub(crate) trait Fused: Backend {
    fn rms_norm(states: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;
    fn rotate(states: FloatTensor<Self>, turns: Arc<Turns>) -> FloatTensor<Self>;
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        shape: AttentionShape,
        products: Products,
        reaches: Arc<Reaches>,
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
pub(crate) fn rotate(states: Tensor<2>, turns: Arc<Turns>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::rotate(states.into_dispatch(), turns))
}

/// `activation(gate) · up` (Shazeer 2020, arXiv 2002.05202), number by number.
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::gated(gate, up, activation))
}

/// Causal attention with grouped queries: `query: [rows, heads · head_dim]` over `key` and `value: [tokens, kv_heads ·
/// head_dim]`, each of `reaches` by itself. The reaches' queries are all rows, in order. On the processor products are of 32-bit
/// floats always.
pub(crate) fn attend(
    query: Tensor<2>,
    key: Tensor<2>,
    value: Tensor<2>,
    shape: AttentionShape,
    products: Products,
    reaches: Arc<Reaches>,
) -> Tensor<2> {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::attend(query, key, value, shape, products, reaches))
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

    fn rotate(states: Floats, turns: Arc<Turns>) -> Floats {
        rotary::turn(states, &turns, rotary::Direction::Forward)
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
        reaches: Arc<Reaches>,
    ) -> Floats {
        attention::forward(query, key, value, shape, &reaches).0
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
        Adapted { states: States::Kept(states), weight, down, up, scale, products }.forward()
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
        AdaptedStored { states: States::Kept(states), weight, down, up, scale, products }.forward()
    }

    fn look_up(states: Floats, lookup: Arc<Lookup>) -> Floats {
        lookup::forward(states, &lookup)
    }
}

impl Derived for Flex {
    type Normed = rms_norm::Kept;
    type Attended = attention::Kept;
    type Adapted = Adapted;
    type Linear = linear::Kept;
    type AdaptedStored = AdaptedStored;

    fn rms_norm_kept(states: Floats, weight: Floats, epsilon: f64) -> (Floats, Self::Normed) {
        let normed = rms_norm::forward(states.clone(), weight.clone(), epsilon);
        let kept = normed.kept(states, weight);
        (normed.output, kept)
    }

    fn rms_norm_back(kept: Self::Normed, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
        rms_norm::backward(kept, by_output, wants_weight)
    }

    fn rotate_back(by_output: Floats, turns: Arc<Turns>) -> Floats {
        rotary::turn(by_output, &turns, Direction::Back)
    }

    fn gated_back(gate: Floats, up: Floats, activation: Activation, by_output: Floats) -> [Floats; 2] {
        gated::backward(gate, up, activation, by_output)
    }

    fn attend_kept(
        query: Floats,
        key: Floats,
        value: Floats,
        shape: AttentionShape,
        _: Products,
        reaches: Arc<Reaches>,
    ) -> (Floats, Self::Attended) {
        let (output, log_sums) =
            attention::forward(query.clone(), key.clone(), value.clone(), shape, &reaches);
        (output, attention::Kept { query, key, value, shape, reaches, log_sums })
    }

    fn attend_back(kept: Self::Attended, by_output: Floats) -> [Floats; 3] {
        attention::backward(kept, by_output)
    }

    fn adapted_kept(
        states: Floats,
        weight: Floats,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, Self::Adapted) {
        let layer = Adapted { states: States::Kept(states.clone()), weight, down, up, scale, products };
        (layer.clone().forward(), Adapted { states: States::new(states, gate), ..layer })
    }

    fn adapted_back(
        kept: Self::Adapted,
        by_output: Floats,
        wants_states: bool,
    ) -> (Option<Floats>, [Floats; 2]) {
        kept.backward(by_output, wants_states)
    }

    fn linear_kept(
        states: Floats,
        weight: Floats,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, Self::Linear) {
        let output = linear::forward(states.clone(), weight.clone(), products);
        (output, linear::Kept { states: States::new(states, gate), weight, products })
    }

    fn linear_back(kept: Self::Linear, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
        linear::backward(kept, by_output, wants)
    }

    fn stored_back(by_output: Floats, weight: Arc<StoredWeight>, products: Products) -> Floats {
        stored::backward(by_output, &weight, products)
    }

    fn adapted_stored_kept(
        states: Floats,
        weight: Arc<StoredWeight>,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        gate: Option<Gated>,
    ) -> (Floats, AdaptedStored) {
        let layer = AdaptedStored { states: States::Kept(states.clone()), weight, down, up, scale, products };
        (layer.clone().forward(), AdaptedStored { states: States::new(states, gate), ..layer })
    }

    fn adapted_stored_back(
        kept: AdaptedStored,
        by_output: Floats,
        wants_states: bool,
    ) -> (Option<Floats>, [Floats; 2]) {
        kept.backward(by_output, wants_states)
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
