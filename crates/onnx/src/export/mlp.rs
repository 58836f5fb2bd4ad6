//! The gated MLP of a layer.

use std::f32::consts::FRAC_2_PI;

use lancer_model::{Activation, ModelError};

use super::{decoder::Decoder, settings::Operators};
use crate::graph::{Attribute, Value};

impl Decoder<'_> {
    /// `down(activation(gate(x)) × up(x))`.
    pub(super) fn mlp(&mut self, states: &str, name: &str) -> Result<Value, ModelError> {
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let gate = self.linear(states, &format!("{name}.gate_proj.weight"), hidden, inner)?;
        let up = self.linear(states, &format!("{name}.up_proj.weight"), hidden, inner)?;
        let gate = self.activation(&gate);
        let product = self.graph.add("Mul", &[&gate, &up], &[]);
        self.linear(&product, &format!("{name}.down_proj.weight"), inner, hidden)
    }

    fn activation(&mut self, gate: &str) -> Value {
        match (self.operators, self.config.family.design().activation) {
            // x × sigmoid(alpha × x).
            (Operators::Fused, Activation::Silu) => {
                self.graph.add_fused("QuickGelu", &[gate], &[Attribute::Float("alpha", 1.0)])
            }
            (Operators::Fused, Activation::GeluTanh) => self.graph.add_fused("FastGelu", &[gate], &[]),
            (Operators::Plain, Activation::Silu) => {
                let sigmoid = self.graph.add("Sigmoid", &[gate], &[]);
                self.graph.add("Mul", &[gate, &sigmoid], &[])
            }
            (Operators::Plain, Activation::GeluTanh) => {
                // (1 + tanh y) / 2 = sigmoid(2y), for y = √(2/π) (x + 0.044715 x³).
                let (linear, cubic) = (2.0 * FRAC_2_PI.sqrt(), 0.044_715);
                let (linear, cubic) = (self.graph.number(linear), self.graph.number(linear * cubic));
                let square = self.graph.add("Mul", &[gate, gate], &[]);
                let factor = self.graph.add("Mul", &[&square, &cubic], &[]);
                let factor = self.graph.add("Add", &[&factor, &linear], &[]);
                let inner = self.graph.add("Mul", &[gate, &factor], &[]);
                let sigmoid = self.graph.add("Sigmoid", &[&inner], &[]);
                self.graph.add("Mul", &[gate, &sigmoid], &[])
            }
        }
    }
}
