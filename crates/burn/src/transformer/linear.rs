//! A linear layer `x Wᵀ + b`, and its adapter.

use burn::tensor::{Device, Tensor};
use lancer_backend::Seed;
use lancer_model::{AdapterPair, ModelError};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{
    Loading, Matrix, Order, Parameter, Trained, Training, dropout::Dropout, matrix::rounded_products,
};
use crate::{
    fused::{self, Gated},
    product::{product, products_of},
    settings::{LoraSettings, Products, Projection},
};

#[derive(Clone)]
pub(crate) struct Linear {
    /// 32-bit floats that are trained are `[input, output]` in memory.
    pub(super) matrix: Matrix,
    bias: Option<Parameter>,
    adapter: Option<Adapter>,
}

/// `scale · B A` beside a matrix (LoRA).
#[derive(Clone)]
struct Adapter {
    /// `Aᵀ: [input, rank]` in memory.
    down: Parameter,
    /// `Bᵀ: [rank, output]` in memory.
    up: Parameter,
    scale: f64,
    dropout: f64,
}

impl Linear {
    pub(crate) fn load(
        loading: Loading<'_>,
        layer: usize,
        projection: Projection,
    ) -> Result<Self, ModelError> {
        let name = format!("model.layers.{layer}.{}", projection.module());
        let matrix = loading.matrix(&format!("{name}.weight"), loading.order(Order::Transposed))?;
        let bias = projection
            .has_bias(loading.model.config())
            .then(|| loading.parameter(&format!("{name}.bias"), Order::AsInFiles))
            .transpose()?;
        let adapter = match loading.trained {
            Trained::Adapters(lora, seed) if lora.targets.contains(projection) => {
                let shape = [matrix.outputs(), matrix.size() / matrix.outputs()];
                let known = loading.model.adapter().and_then(|adapter| adapter.pair(&name));
                Some(Adapter::new(&name, shape, known, (lora, *seed), loading.device))
            }
            _ => None,
        };
        Ok(Self { matrix, bias, adapter })
    }

    /// The outputs of several layers of the same states. `dropout` is `None` outside of training.
    pub(crate) fn forward_all<const N: usize>(
        linears: [&Self; N],
        states: Tensor<2>,
        products: Products,
        mut dropout: Option<&mut Dropout>,
    ) -> [Tensor<2>; N] {
        let weights = linears.iter().filter_map(|linear| match (&linear.matrix, &linear.adapter) {
            (Matrix::F32(weight), None) => Some(weight.factor()),
            _ => None,
        });
        if let Ok(weights) = <[Tensor<2>; N]>::try_from(weights.collect::<Vec<_>>()) {
            let outputs = products_of(states, weights, products);
            return std::array::from_fn(|place| linears[place].biased(outputs[place].clone()));
        }
        let weights = linears.iter().filter_map(|linear| match (&linear.matrix, &linear.adapter) {
            (Matrix::Bf16(weight), None) => Some(&**weight),
            _ => None,
        });
        if let Ok(weights) = <[_; N]>::try_from(weights.collect::<Vec<_>>()) {
            let outputs = rounded_products(weights, states);
            return std::array::from_fn(|place| linears[place].biased(outputs[place].clone()));
        }
        linears.map(|linear| linear.forward(states.clone(), None, products, dropout.as_deref_mut()))
    }

    /// `gate` is what `states` were computed from, if they can be computed again. `dropout` is `None` outside of training.
    pub(crate) fn forward(
        &self,
        states: Tensor<2>,
        gate: Option<Gated>,
        products: Products,
        dropout: Option<&mut Dropout>,
    ) -> Tensor<2> {
        let weight = match &self.matrix {
            Matrix::F32(weight) => weight.factor(),
            Matrix::Stored(weight) => {
                let weight = weight.clone();
                let output = match (&self.adapter, dropout) {
                    (None, _) => fused::stored(states, weight, products),
                    (Some(adapter), Some(dropout)) => {
                        let dropped = dropout.apply(states.clone(), adapter.dropout);
                        fused::stored(states, weight, products) + adapter.forward(dropped)
                    }
                    (Some(adapter), None) => {
                        let pair = [adapter.down.value.clone(), adapter.up.value.clone()];
                        fused::adapted_stored(states, weight, pair, adapter.scale, products, gate)
                    }
                };
                return self.biased(output);
            }
            Matrix::Bf16(weight) => {
                let [output] = rounded_products([weight], states.clone());
                return self.biased(match &self.adapter {
                    Some(adapter) => output + adapter.forward(states),
                    None => output,
                });
            }
        };
        let output = match (&self.adapter, dropout) {
            (None, _) if gate.is_some() => fused::linear(states, weight, products, gate),
            (None, _) => product(states, weight, products),
            (Some(adapter), Some(dropout)) => {
                let dropped = dropout.apply(states.clone(), adapter.dropout);
                product(states, weight, products) + adapter.forward(dropped)
            }
            (Some(adapter), None) => {
                let (down, up) = (adapter.down.value.clone(), adapter.up.value.clone());
                fused::adapted(states, weight, [down, up], adapter.scale, products, gate)
            }
        };
        self.biased(output)
    }

    fn biased(&self, output: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => output + bias.value.clone(),
            None => output,
        }
    }

    pub(crate) fn parameters(&self) -> Vec<&Parameter> {
        let adapter = self.adapter.iter().flat_map(|adapter| [&adapter.down, &adapter.up]);
        self.matrix.parameter().into_iter().chain(&self.bias).chain(adapter).collect()
    }

    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let adapter = self.adapter.iter_mut().flat_map(|adapter| [&mut adapter.down, &mut adapter.up]);
        self.matrix.parameter_mut().into_iter().chain(&mut self.bias).chain(adapter).collect()
    }

    /// Number of weights, without the adapter.
    pub(crate) fn size(&self) -> usize {
        self.matrix.size() + self.bias.as_ref().map_or(0, Parameter::size)
    }

    /// The parameters of the adapter, `A` and `B`.
    pub(crate) fn adapter(&self) -> Option<[&Parameter; 2]> {
        self.adapter.as_ref().map(|adapter| [&adapter.down, &adapter.up])
    }
}

impl Adapter {
    /// The adapter of a matrix `[output, input]`: `known`, or a new one.
    fn new(
        name: &str,
        [output, input]: [usize; 2],
        known: Option<&AdapterPair>,
        (lora, seed): (&LoraSettings, Seed),
        device: &Device,
    ) -> Self {
        let rank = lora.rank;
        let down_name = format!("{name}.lora_A.weight");
        let (down, up) = if let Some(pair) = known {
            (pair.down.data.clone(), pair.up.data.clone())
        } else {
            // Uniform within ±1/√input, as PEFT's default (Kaiming with a = √5).
            let bound = 1.0 / (input as f32).sqrt();
            let mut random = ChaCha8Rng::seed_from_u64(seed.derive(&down_name).0);
            let down = (0..rank * input).map(|_| random.random_range(-bound..=bound)).collect();
            (down, vec![0.0; output * rank])
        };
        let (order, trained) = (Order::Transposed, Training::Trained);
        let up_name = format!("{name}.lora_B.weight");
        let mut up = Parameter::new(up_name, vec![output, rank], up, order, trained, device);
        up.rate = lora.rate_of_b;
        Self {
            down: Parameter::new(down_name, vec![rank, input], down, order, trained, device),
            up,
            scale: lora.scale(),
            dropout: lora.dropout,
        }
    }

    /// What it adds to the layer's output.
    fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let low = product(states, self.down.value.clone(), Products::F32) * self.scale;
        product(low, self.up.value.clone(), Products::F32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::{to_vec, waves};

    #[test]
    fn the_order_of_weights_in_memory_changes_no_output() {
        let (inputs, outputs) = (24, 40);
        let linear = |order| {
            let (shape, weights) = (vec![outputs, inputs], to_vec(&waves([outputs, inputs], 0.3)));
            let (frozen, device) = (Training::Frozen, Device::flex());
            let weight = Parameter::new("one".into(), shape, weights, order, frozen, &device);
            Linear { matrix: Matrix::F32(Box::new(weight)), bias: None, adapter: None }
        };
        let [as_in_files, transposed] = [Order::AsInFiles, Order::Transposed].map(linear);
        for rows in [1, 3, 200] {
            let states = waves([rows, inputs], 0.1);
            let expected = to_vec(&as_in_files.forward(states.clone(), None, Products::F32, None));
            let [one, two] =
                Linear::forward_all([&as_in_files, &transposed], states.clone(), Products::F32, None);
            let three = transposed.forward(states, None, Products::F32, None);
            for found in [one, two, three] {
                let found = to_vec(&found);
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
                }
            }
        }
    }
}
