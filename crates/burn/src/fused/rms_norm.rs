//! RMS norm of tensors ([`lancer_kernels::rms_norm`]), and the tensors that it saves for the backward pass.

use lancer_kernels::rms_norm;

use super::tensor;
use crate::numbers::{Floats, compact, slice};

/// The output of the forward pass.
pub(super) struct Normed {
    pub(super) output: Floats,
    /// `r` of each row.
    inverse: Vec<f32>,
}

/// The tensors that the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct SavedNorm {
    weight: Floats,
    /// `r` of each row.
    inverse: Vec<f32>,
    states: SavedStates,
}

/// The norm's output, which later products save too, or its input where the output is not enough.
#[derive(Debug, Clone)]
enum SavedStates {
    Output(Floats),
    Input(Floats),
}

impl Normed {
    /// The tensors to save of the pass that gave this.
    pub(super) fn saved(&self, states: Floats, weight: Floats) -> SavedNorm {
        let weight = compact(weight);
        let states = if rms_norm::is_invertible(slice(&weight)) {
            SavedStates::Output(self.output.clone())
        } else {
            SavedStates::Input(compact(states))
        };
        SavedNorm { weight, inverse: self.inverse.clone(), states }
    }
}

pub(super) fn forward(states: Floats, weight: Floats, epsilon: f64) -> Normed {
    let (states, weight) = (compact(states), compact(weight));
    let (output, inverse) = rms_norm::forward(slice(&states), slice(&weight), epsilon);
    let width = slice(&weight).len();
    Normed { output: tensor(output, [inverse.len(), width]), inverse }
}

/// The gradients by states and, where it is wanted, weight.
pub(super) fn backward(saved: SavedNorm, by_output: Floats, wants_weight: bool) -> (Floats, Option<Floats>) {
    let SavedNorm { weight, inverse, states } = saved;
    let by_output = compact(by_output);
    let states = match &states {
        SavedStates::Output(output) => rms_norm::Saved::Output(slice(output)),
        SavedStates::Input(input) => rms_norm::Saved::Input(slice(input)),
    };
    let (by_states, by_weight) =
        rms_norm::backward(slice(&weight), &inverse, states, slice(&by_output), wants_weight);
    let width = slice(&weight).len();
    (tensor(by_states, [inverse.len(), width]), by_weight.map(|by| tensor(by, [1, width])))
}
