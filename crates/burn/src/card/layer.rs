//! Burn's extension for cards: which kernel is which operation.

use std::sync::Arc;

use burn::backend::{Cube, ops::FloatTensorOps};
use lancer_model::Activation;

use super::{
    Floats, attention, floats, gated, matrix,
    product::{factor, product},
    rms_norm, rotary, rows,
};
use crate::{
    fused::{AttentionShape, Derived, Direction, Fused, Gated, Lookup, Reaches, Turns},
    settings::Products,
    stored_weight::StoredWeight,
};

impl Fused for Cube {
    fn rms_norm(states: Floats, weight: Floats, epsilon: f64) -> Floats {
        rms_norm::forward(states, weight, epsilon)
    }

    fn rotate(states: Floats, turns: Arc<Turns>) -> Floats {
        rotary::turn(states, &turns, Direction::Forward)
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
        reaches: Arc<Reaches>,
    ) -> Floats {
        attention::forward(query, key, value, shape, products, &reaches)
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

/// What is kept of RMS norm.
#[derive(Debug, Clone)]
pub(crate) struct Normed {
    states: Floats,
    weight: Floats,
    epsilon: f64,
}

/// What is kept of attention.
#[derive(Debug, Clone)]
pub(crate) struct Attended {
    pub(super) query: Floats,
    pub(super) key: Floats,
    pub(super) value: Floats,
    pub(super) shape: AttentionShape,
    pub(super) products: Products,
    pub(super) reaches: Arc<Reaches>,
}

/// What is kept of a linear layer, factors as they are multiplied.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    states: Floats,
    weight: Floats,
    products: Products,
}

/// What is kept of a linear layer with an adapter.
#[derive(Debug, Clone)]
pub(crate) struct Adapted {
    layer: Linear,
    down: Floats,
    up: Floats,
    scale: f64,
}

impl Derived for Cube {
    type Normed = Normed;
    type Attended = Attended;
    type Adapted = Adapted;
    type Linear = Linear;
    type AdaptedStored = ();

    fn rms_norm_kept(states: Floats, weight: Floats, epsilon: f64) -> (Floats, Normed) {
        let output = rms_norm::forward(states.clone(), weight.clone(), epsilon);
        (output, Normed { states, weight, epsilon })
    }

    fn rms_norm_back(kept: Normed, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
        let Normed { states, weight, epsilon } = kept;
        rms_norm::backward(states, weight, epsilon, by_output, wants_weight)
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
        products: Products,
        reaches: Arc<Reaches>,
    ) -> (Floats, Attended) {
        let output = attention::forward(query.clone(), key.clone(), value.clone(), shape, products, &reaches);
        (output, Attended { query, key, value, shape, products, reaches })
    }

    fn attend_back(kept: Attended, by_output: Floats) -> [Floats; 3] {
        attention::backward(kept, by_output)
    }

    fn adapted_kept(
        states: Floats,
        weight: Floats,
        down: Floats,
        up: Floats,
        scale: f64,
        products: Products,
        _: Option<Gated>,
    ) -> (Floats, Adapted) {
        let layer = Linear { states: states.clone(), weight: weight.clone(), products };
        let kept = Adapted { layer, down: down.clone(), up: up.clone(), scale };
        (Self::adapted(states, weight, down, up, scale, products, None), kept)
    }

    /// With `dy` the gradient by the output and `h = s · dy Bᵀ`: `dx = dy Wᵀ + h Aᵀ`, `dA = xᵀ h`, `dB = s · (x A)ᵀ dy`.
    fn adapted_back(kept: Adapted, by_output: Floats, wants_states: bool) -> (Option<Floats>, [Floats; 2]) {
        let Adapted { layer: Linear { states, weight, products }, down, up, scale } = kept;
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

    fn linear_kept(states: Floats, weight: Floats, products: Products, _: Option<Gated>) -> (Floats, Linear) {
        let [states, weight] = [states, weight].map(|numbers| factor(numbers, products));
        (product(states.clone(), weight.clone(), products), Linear { states, weight, products })
    }

    /// With `dy` the gradient by the output: `dx = dy Wᵀ`, `dW = xᵀ dy`.
    fn linear_back(kept: Linear, by_output: Floats, wants: [bool; 2]) -> [Option<Floats>; 2] {
        let Linear { states, weight, products } = kept;
        let [wants_states, wants_weight] = wants;
        let by_output = factor(by_output, products);
        let by_states = wants_states.then(|| product(by_output.clone(), transposed(weight), products));
        let by_weight = wants_weight.then(|| product(transposed(states), by_output, products));
        [by_states, by_weight]
    }

    fn stored_back(_: Floats, _: Arc<StoredWeight>, _: Products) -> Floats {
        no_stored_weights()
    }

    fn adapted_stored_kept(
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
    unreachable!("on cards all matrices are 32-bit floats")
}

fn transposed(matrix: Floats) -> Floats {
    Cube::float_swap_dims(matrix, 0, 1)
}
