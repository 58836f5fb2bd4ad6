//! Training steps against PyTorch's: see fixtures/burn/make.py.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
};

use lancer_backend::{Conversation, Message, Seed, StepSettings};
use lancer_model::TensorSource;
use lancer_prefer::{
    BatchSize, CheckpointPolicy, Decay, OptimizerSettings, PreferenceExample, Schedule, SftExample, Split,
    TrainingReport,
    loss::{Dpo, PreferenceLoss},
    train_preference, train_sft,
};
use serde::Deserialize;

use super::BurnLearner;
use crate::{
    BurnDevice, LoraSettings, TrainSettings,
    settings::{Activations, Method, Products},
    transformer::{Order, Parameter, Training},
};

#[derive(Deserialize)]
struct Expected {
    beta: f64,
    lora: Lora,
    /// Prompt, chosen and rejected response.
    examples: Vec<(String, String, String)>,
    runs: BTreeMap<String, Run>,
}

#[derive(Deserialize)]
struct Lora {
    rank: usize,
    alpha: f64,
}

#[derive(Deserialize)]
struct Run {
    model: String,
    method: String,
    objective: String,
    settings: StepSettings,
    losses: Vec<f64>,
    gradient_norms: Vec<f64>,
    weights: BTreeMap<String, Weights>,
}

#[derive(Deserialize)]
struct Weights {
    norm: f64,
    samples: Vec<f32>,
}

fn fixtures() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures"].iter().collect()
}

/// The same numbers as `wave` in make.py.
fn wave(count: usize, phase: f64) -> Vec<f32> {
    (0..count).map(|i| ((0.7 * i as f64 + phase).sin() / 8.0) as f32).collect()
}

fn learner(run: &Run, lora: &Lora, settings: &TrainSettings) -> BurnLearner {
    let method = match run.method.as_str() {
        "lora" => {
            Method::Lora(LoraSettings { rank: lora.rank, alpha: lora.alpha, ..LoraSettings::default() })
        }
        _ => Method::Full,
    };
    let settings = TrainSettings { method, seed: Seed(1), ..settings.clone() };
    let mut learner = BurnLearner::load(&fixtures().join(&run.model), &settings).unwrap();
    let device = learner.device.0.clone();
    let adapters = learner
        .transformer
        .parameters_mut()
        .into_iter()
        .filter(|parameter| parameter.name.contains(".lora_"));
    for (place, parameter) in adapters.enumerate() {
        let phase = 0.25 * (place / 2 + 1) as f64 + 0.5 * (place % 2) as f64;
        let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
        let data = wave(parameter.size(), phase);
        *parameter = Parameter::new(name, shape, data, Order::Transposed, Training::Trained, &device);
    }
    learner
}

fn train(learner: &mut BurnLearner, expected: &Expected, run: &Run) -> TrainingReport {
    let steps = run.losses.len() as u32;
    let StepSettings { learning_rate, beta_1, beta_2, epsilon, weight_decay, max_gradient_norm } =
        run.settings;
    let settings = lancer_prefer::TrainSettings {
        epochs: steps,
        batch: BatchSize::Examples(expected.examples.len()),
        // Two passes a step: the gradient is accumulated.
        tokens_per_forward: 120,
        optimizer: OptimizerSettings {
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
            max_gradient_norm,
        },
        schedule: Schedule { warmup_ratio: 0.0, decay: Decay::Constant },
        ..lancer_prefer::TrainSettings::default()
    };
    let (none, seed) = (CheckpointPolicy::None, Seed(2));
    let examples = expected.examples.iter().enumerate();
    if run.objective == "sft" {
        let examples: Vec<SftExample> = examples
            .map(|(key, (prompt, chosen, _))| {
                SftExample::new(key.to_string(), Conversation::of_pair(prompt, chosen))
            })
            .collect();
        return train_sft(learner, Split::train_only(&examples), &settings, none, seed, &mut ()).unwrap();
    }
    let examples: Vec<PreferenceExample> = examples
        .map(|(key, (prompt, chosen, rejected))| PreferenceExample {
            key: key.to_string(),
            prompt: vec![Message::user(prompt)].into(),
            chosen: Message::assistant(chosen),
            rejected: Message::assistant(rejected),
        })
        .collect();
    let loss = PreferenceLoss::Dpo(Dpo { beta: expected.beta, ..Dpo::default() });
    let split = Split::train_only(&examples);
    train_preference(learner, split, &loss, &settings, none, seed, &mut HashMap::new(), &mut ()).unwrap()
}

fn check(name: &str, run: &Run, expected: &Expected, settings: &TrainSettings) {
    let mut learner = learner(run, &expected.lora, settings);
    let report = train(&mut learner, expected, run);
    assert_eq!(report.steps.len(), run.losses.len(), "{name}");
    for (step, (loss, norm)) in report.steps.iter().zip(run.losses.iter().zip(&run.gradient_norms)) {
        assert!((step.loss - loss).abs() < 1e-4, "{name}: loss {}, expected {loss}", step.loss);
        let found = step.gradient_norm;
        assert!((found / norm - 1.0).abs() < 1e-4, "{name}: gradient norm {found}, expected {norm}");
    }
    for (tensor, expected) in &run.weights {
        let found = learner.tensor(tensor).unwrap().data;
        let norm = found.iter().map(|&weight| f64::from(weight).powi(2)).sum::<f64>().sqrt();
        assert!(
            (norm / expected.norm - 1.0).abs() < 1e-4,
            "{name}: {tensor} has norm {norm}, expected {}",
            expected.norm
        );
        let count = expected.samples.len();
        for (i, &expected) in expected.samples.iter().enumerate() {
            let found = found[i * found.len() / count];
            // AdamW divides a gradient by its own size: where it is nearly 0, rounding shows. At one weight PyTorch in 32-bit
            // floats is 1.3e-4 from itself in 64.
            assert!((found - expected).abs() < 3e-4, "{name}: {tensor}[{i}] is {found}, expected {expected}");
        }
    }
}

fn expected() -> Expected {
    let text = fs::read_to_string(fixtures().join("burn/expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn check_all(method: &str, activations: Activations) {
    let expected = expected();
    let mut checked = 0;
    for (name, run) in expected.runs.iter().filter(|(_, run)| run.method == method) {
        for &device in BurnDevice::BUILT_IN {
            let settings = TrainSettings { activations, device, ..TrainSettings::default() };
            check(&format!("{name}, {device:?}"), run, &expected, &settings);
        }
        checked += 1;
    }
    assert_eq!(checked, 12, "three runs of each of four models");
}

#[test]
fn full_fine_tuning_is_pytorchs() {
    check_all("full", Activations::Keep);
}

#[test]
fn adapters_are_pytorchs() {
    check_all("lora", Activations::Keep);
}

#[test]
fn recomputed_activations_change_nothing() {
    check_all("full", Activations::Recompute);
    check_all("lora", Activations::Recompute);
}

/// The curve of 32-bit floats, within what factors of eight bits leave of it.
#[test]
fn losses_of_rounded_products_follow_pytorchs() {
    let expected = expected();
    for (name, run) in &expected.runs {
        let settings = TrainSettings { products: Products::Bf16, ..TrainSettings::default() };
        let mut learner = learner(run, &expected.lora, &settings);
        let report = train(&mut learner, &expected, run);
        for (step, (loss, norm)) in report.steps.iter().zip(run.losses.iter().zip(&run.gradient_norms)) {
            let error = (step.loss / loss - 1.0).abs();
            assert!(error < 1.5e-2, "{name}: loss {}, expected {loss}", step.loss);
            let found = step.gradient_norm;
            assert!((found / norm - 1.0).abs() < 5e-2, "{name}: gradient norm {found}, expected {norm}");
        }
    }
}
