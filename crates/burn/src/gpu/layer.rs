//! Burn's extension for GPUs: which kernel is which operation.

use std::sync::Arc;

use burn::backend::{Cube, ops::FloatTensorOps};
use lancer_model::Activation;

use super::{
    Floats, attention, floats, gated, matrix,
    product::{factor, product},
    rms_norm, rotary, rows,
};
use crate::{
    fused::{AttentionShape, AttentionSpans, Derived, Direction, Fused, Gated, Lookup, RotaryTable},
    settings::Products,
    stored_weight::StoredWeight,
};

impl Fused for Cube {
    fn rms_norm(states: Floats, weight: Floats, epsilon: f64) -> Floats {
        rms_norm::forward(states, weight, epsilon)
    }

    fn rotate(states: Floats, rotary_table: Arc<RotaryTable>) -> Floats {
        rotary::rotate(states, &rotary_table, Direction::Forward)
    }

    fn gated(gate: Floats, up: Floats, activation: Activation) -> Floats {
        gated::forward(gate, up, activation)
    }

    fn attend(
        query: Floats,
        key: Floats,
        value: Floats,
        shape: AttentionShape,
        products: Products,
        spans: Arc<AttentionSpans>,
    ) -> Floats {
        attention::forward(query, key, value, shape, products, &spans)
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
        let low = product(states.clone(), down, Products::F32);
        let added = matrix::<2>(product(low, up, Products::F32)) * scale;
        floats(matrix(product(states, weight, products)) + added)
    }

    fn linear(states: Floats, weight: Floats, products: Products, _: Option<Gated>) -> Floats {
        product(states, weight, products)
    }

    fn stored(_: Floats, _: Arc<StoredWeight>, _: Products) -> Floats {
        no_stored_weights()
    }

    fn adapted_stored(
        _: Floats,
        _: Arc<StoredWeight>,
        _: Floats,
        _: Floats,
        _: f64,
        _: Products,
        _: Option<Gated>,
    ) -> Floats {
        no_stored_weights()
    }

    fn look_up(states: Floats, lookup: Arc<Lookup>) -> Floats {
        rows::look_up(states, &lookup)
    }
}

/// The tensors that RMS norm saves.
#[derive(Debug, Clone)]
pub(crate) struct Normed {
    states: Floats,
    weight: Floats,
    epsilon: f64,
}

/// The tensors that a linear layer saves, factors as they are multiplied.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    states: Floats,
    weight: Floats,
    products: Products,
}

/// The tensors that a linear layer saves with an adapter.
#[derive(Debug, Clone)]
pub(crate) struct Adapted {
    layer: Linear,
    down: Floats,
    up: Floats,
    scale: f64,
}

impl Derived for Cube {
    type Normed = Normed;
    type Attended = attention::SavedAttention;
    type Adapted = Adapted;
    type Linear = Linear;
    type AdaptedStored = ();

    fn rms_norm_saving(states: Floats, weight: Floats, epsilon: f64) -> (Floats, Normed) {
        let output = rms_norm::forward(states.clone(), weight.clone(), epsilon);
        (output, Normed { states, weight, epsilon })
    }

    fn rms_norm_back(saved: Normed, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
        let Normed { states, weight, epsilon } = saved;
        rms_norm::backward(states, weight, epsilon, by_output, wants_weight)
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
        products: Products,
        spans: Arc<AttentionSpans>,
    ) -> (Floats, attention::SavedAttention) {
        let output = attention::forward(query.clone(), key.clone(), value.clone(), shape, products, &spans);
        (output, attention::SavedAttention { query, key, value, shape, products, spans })
    }

    fn attend_back(saved: attention::SavedAttention, by_output: Floats) -> [Floats; 3] {
        attention::backward(saved, by_output)
    }

    fn adapted_saving(
        states: Floats,
        weight: Floats,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        _: Option<Gated>,
    ) -> (Floats, Adapted) {
        let layer = Linear { states: states.clone(), weight: weight.clone(), products };
        let saved = Adapted { layer, down: down.clone(), up: up.clone(), scale };
        (Self::adapted(states, weight, down, up, scale, products, None), saved)
    }

    /// With `dy` the gradient by the output and `h = s · dy Bᵀ`: `dx = dy Wᵀ + h Aᵀ`, `dA = xᵀ h`, `dB = s · (x A)ᵀ dy`.
    fn adapted_back(saved: Adapted, by_output: Floats, wants_states: bool) -> (Option<Floats>, [Floats; 2]) {
        let Adapted { layer: Linear { states, weight, products }, down, up, scale } = saved;
        let by_low = matrix::<2>(product(by_output.clone(), transposed(up), Products::F32)) * scale;
        let by_low = floats(by_low);
        let low = matrix::<2>(product(states.clone(), down.clone(), Products::F32)) * scale;
        let by_up = product(transposed(floats(low)), by_output.clone(), Products::F32);
        let by_down = product(transposed(states), by_low.clone(), Products::F32);
        let by_states = wants_states.then(|| {
            let by_weight = matrix::<2>(product(by_output, transposed(weight), products));
            floats(by_weight + matrix(product(by_low, transposed(down), Products::F32)))
        });
        (by_states, [by_down, by_up])
    }

    fn linear_saving(
        states: Floats,
        weight: Floats,
        products: Products,
        _: Option<Gated>,
    ) -> (Floats, Linear) {
        let [states, weight] = [states, weight].map(|numbers| factor(numbers, products));
        (product(states.clone(), weight.clone(), products), Linear { states, weight, products })
    }

    /// With `dy` the gradient by the output: `dx = dy Wᵀ`, `dW = xᵀ dy`.
    fn linear_back(saved: Linear, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
        let Linear { states, weight, products } = saved;
        let [wants_states, wants_weight] = wants;
        let by_output = factor(by_output, products);
        let by_states = wants_states.then(|| product(by_output.clone(), transposed(weight), products));
        let by_weight = wants_weight.then(|| product(transposed(states), by_output, products));
        [by_states, by_weight]
    }

    fn stored_back(_: Floats, _: Arc<StoredWeight>, _: Products) -> Floats {
        no_stored_weights()
    }

    fn adapted_stored_saving(
        _: Floats,
        _: Arc<StoredWeight>,
        _: Floats,
        _: Floats,
        _: f64,
        _: Products,
        _: Option<Gated>,
    ) -> (Floats, ()) {
        no_stored_weights()
    }

    fn adapted_stored_back((): (), _: Floats, _: bool) -> (Option<Floats>, [Floats; 2]) {
        no_stored_weights()
    }

    fn look_up_back(by_output: Floats, lookup: Arc<Lookup>, count: usize) -> Floats {
        rows::add_back(by_output, &lookup, count)
    }
}

/// A model is loaded with matrices as they are in their file for the processor only (`transformer::Loading::matrix`).
fn no_stored_weights() -> ! {
    unreachable!("on GPUs all matrices are 32-bit floats")
}

fn transposed(matrix: Floats) -> Floats {
    Cube::float_swap_dims(matrix, 0, 1)
}
