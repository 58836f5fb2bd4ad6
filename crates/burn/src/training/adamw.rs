//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) after clipping the gradient's norm, as PyTorch computes them.

use burn::tensor::Tensor;
use lancer_backend::{LearnerError, StepReport, StepSettings};
use lancer_kernels::adamw::{AdamWStep, sum_of_squares};

use crate::{
    gpu,
    numbers::{change_all, is_here, read, taken},
    transformer::Parameter,
};

/// The number that `torch.nn.utils.clip_grad_norm_` adds to the norm before dividing by it.
const CLIP_EPSILON: f64 = 1e-6;

/// The optimizer's state.
pub(crate) struct AdamW {
    /// Number of steps made.
    pub(crate) steps: u64,
    /// In the order of the transformer's parameters; `None` for those that are frozen.
    pub(crate) moments: Vec<Option<Moments>>,
}

/// Running means of the gradient and of its square, each as large as the weights.
pub(crate) struct Moments {
    pub(crate) first: Tensor<2>,
    pub(crate) second: Tensor<2>,
}

impl AdamW {
    pub(crate) fn new(parameters: &[&Parameter]) -> Self {
        let moments = parameters
            .iter()
            .map(|parameter| {
                let zeros = || parameter.value.zeros_like();
                parameter.is_trained().then(|| Moments { first: zeros(), second: zeros() })
            })
            .collect();
        Self { steps: 0, moments }
    }

    /// One step. A weight without a gradient has one of zero.
    pub(crate) fn step(
        &mut self,
        parameters: Vec<&mut Parameter>,
        gradients: Vec<Option<Tensor<2>>>,
        settings: &StepSettings,
    ) -> Result<StepReport, LearnerError> {
        let step = self.steps + 1;
        let norm = norm(&gradients);
        if !norm.is_finite() {
            return Err(LearnerError::NotFinite { step });
        }
        self.steps = step;
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        let clip = settings.max_gradient_norm.map_or(1.0, |max| (max / (norm + CLIP_EPSILON)).min(1.0));
        let update = AdamWStep {
            gradient_scale: clip as f32,
            beta_1: settings.beta_1 as f32,
            beta_2: settings.beta_2 as f32,
            decay: 1.0,
            step_size: 0.0,
            correction: correction(settings.beta_2).sqrt() as f32,
            epsilon: settings.epsilon as f32,
        };
        for ((parameter, moments), gradient) in parameters.into_iter().zip(&mut self.moments).zip(gradients) {
            let Some(moments) = moments else { continue };
            let rate = settings.learning_rate * parameter.rate;
            let decayed = (1.0 - rate * settings.weight_decay) as f32;
            let update = AdamWStep {
                decay: if parameter.is_matrix() { decayed } else { 1.0 },
                step_size: (rate / correction(settings.beta_1)) as f32,
                ..update
            };
            let gradient = gradient.unwrap_or_else(|| parameter.value.zeros_like());
            parameter.update(|weights| {
                let known = [weights, taken(&mut moments.first), taken(&mut moments.second)];
                let [weights, first, second] = apply(update, known, &gradient);
                *moments = Moments { first, second };
                weights
            });
        }
        Ok(StepReport { step, gradient_norm: norm })
    }
}

/// The new weights and moments.
fn apply(step: AdamWStep, known: [Tensor<2>; 3], gradient: &Tensor<2>) -> [Tensor<2>; 3] {
    if !is_here(gradient) {
        return gpu::adamw(known, gradient, step);
    }
    change_all(known, |[weights, first, second]| {
        read(gradient, |gradient| step.apply(weights, gradient, first, second));
    })
}

/// The L2 norm over all gradients.
pub(super) fn norm(gradients: &[Option<Tensor<2>>]) -> f64 {
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        gradients.iter().flatten().partition(|gradient| is_here(gradient));
    let here: f64 = here.into_iter().map(|gradient| read(gradient, sum_of_squares)).sum();
    let elsewhere: f64 = gpu::squares(&elsewhere).into_iter().map(f64::from).sum();
    (here + elsewhere).sqrt()
}
