//! The learner on the tiny models: the conformance suite, exports, checkpoints, dropout.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend, Continuation, Conversation, Learner, LearnerError, Prompt, ScoreRequest, ScoredContinuation,
    Seed, StepSettings, TrainedTurns, TrainingSequence, WeightFormat,
    conformance::{self, TINY_MODELS},
};
use lancer_burn::{
    Activations, BurnBackend, BurnDevice, BurnLearner, BurnSettings, LoraSettings, Method, Products,
    Projection, TrainSettings, Weights,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn all_settings() -> [TrainSettings; 4] {
    let lora = TrainSettings::lora(LoraSettings { rank: 4, ..LoraSettings::default() });
    let full = TrainSettings::default();
    let recompute = Activations::Recompute;
    [
        TrainSettings { activations: recompute, ..lora.clone() },
        TrainSettings { activations: recompute, ..full.clone() },
        lora,
        full,
    ]
}

fn dropping(probability: f64) -> TrainSettings {
    TrainSettings::lora(LoraSettings { rank: 4, dropout: probability, ..LoraSettings::default() })
}

fn learner(name: &str, settings: &TrainSettings) -> BurnLearner {
    BurnLearner::load(&fixture(name), settings).unwrap()
}

fn encode(learner: &BurnLearner, prompt: &str, response: &str) -> TrainingSequence {
    learner.encode(&Conversation::of_pair(prompt, response), TrainedTurns::Last).unwrap()
}

fn batch(learner: &BurnLearner) -> Vec<TrainingSequence> {
    [("Name a colour.", "Blue."), ("What is the capital of France?", "It is Rome."), ("Say hello.", "No.")]
        .into_iter()
        .map(|(prompt, response)| encode(learner, prompt, response))
        .collect()
}

fn train(learner: &mut BurnLearner, steps: usize) {
    let batch = batch(learner);
    for _ in 0..steps {
        let log_probs = learner.forward(&batch).unwrap();
        let weights: Vec<Vec<f32>> = log_probs.iter().map(|row| vec![-0.1; row.len()]).collect();
        learner.backward(&weights).unwrap();
        learner.step(&StepSettings { learning_rate: 2e-3, ..StepSettings::default() }).unwrap();
    }
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
    }
}

fn conforms_with(name: &str, settings: &TrainSettings) {
    for case in conformance::LEARNER {
        println!("{name}, {settings:?}: {}", case.name);
        (case.run)(&mut || Box::new(learner(name, settings)));
    }
}

#[test]
fn conforms() {
    for name in TINY_MODELS {
        for settings in &all_settings() {
            conforms_with(name, settings);
        }
    }
}

/// With all models in tests/conformance.rs.
#[test]
fn conforms_on_other_devices() {
    for &device in BurnDevice::BUILT_IN {
        for settings in all_settings() {
            conforms_with("tiny-llama", &TrainSettings { device, ..settings });
        }
    }
}

#[test]
fn the_learner_reads_what_the_backend_reads() {
    for name in TINY_MODELS {
        for settings in all_settings() {
            let mut backend = BurnBackend::load(&fixture(name), &BurnSettings::default()).unwrap();
            conformance::learner_agrees(&mut learner(name, &settings), &mut backend, 1e-4);
        }
    }
}

#[test]
fn a_shared_prompt_changes_nothing() {
    for name in TINY_MODELS {
        let mut learner = learner(name, &TrainSettings::default());
        // An empty response is one token, which the prompt alone predicts.
        let batch: Vec<_> = ["Blue.", "A horse is an animal.", "", "Blue."]
            .into_iter()
            .map(|response| encode(&learner, "Name a colour.", response))
            .collect();
        let together = learner.log_probs(&batch).unwrap();
        let alone: Vec<Vec<f32>> =
            batch.iter().map(|one| learner.log_probs(std::slice::from_ref(one)).unwrap().remove(0)).collect();
        assert_close(&together, &alone, 1e-4);
        assert!(together[0] != together[1][..together[0].len()]);
    }
}

#[test]
fn an_export_is_the_trained_model() {
    for name in TINY_MODELS {
        for settings in &all_settings()[2..] {
            let folder = tempfile::tempdir().unwrap();
            let mut trained = learner(name, settings);
            train(&mut trained, 3);
            for file in ["model.gguf", "model"] {
                let path = folder.path().join(file);
                trained.export(&path, WeightFormat::F32).unwrap();
                let mut backend = BurnBackend::load(&path, &BurnSettings::default()).unwrap();
                conformance::learner_agrees(&mut trained, &mut backend, 1e-4);
            }
            let path = folder.path().join("half.gguf");
            trained.export(&path, WeightFormat::Half).unwrap();
            let mut backend = BurnBackend::load(&path, &BurnSettings::default()).unwrap();
            conformance::learner_agrees(&mut trained, &mut backend, 0.05);
        }
    }
}

fn scores(backend: &mut BurnBackend) -> Vec<ScoredContinuation> {
    let request = ScoreRequest {
        prompt: Prompt::user("Name a colour."),
        continuations: ["Blue.", "It is not known."].map(Continuation::closed).to_vec(),
    };
    let mut scores = Vec::new();
    let keep = &mut |_, scored: Vec<ScoredContinuation>| {
        scores.extend(scored);
        ControlFlow::Continue(())
    };
    backend.score(&[request], keep).unwrap();
    scores
}

#[test]
fn the_trained_weights_run_as_their_export_does() {
    for (&device, settings) in
        BurnDevice::BUILT_IN.iter().flat_map(|device| all_settings().map(|settings| (device, settings)))
    {
        for name in ["tiny-llama", "tiny-gemma3"] {
            let settings = TrainSettings { device, ..settings.clone() };
            let folder = tempfile::tempdir().unwrap();
            let mut trained = learner(name, &settings);
            train(&mut trained, 2);
            trained.export(&folder.path().join("model"), WeightFormat::F32).unwrap();
            // By turns, since a model that is run cannot be trained on.
            let weights = match (device, settings.activations) {
                (BurnDevice::Cpu, Activations::Recompute) => Weights::Bf16,
                _ => Weights::F32,
            };
            let running = BurnSettings { device, weights, ..BurnSettings::default() };
            let mut exported = BurnBackend::load(&folder.path().join("model"), &running).unwrap();
            let mut kept = trained.into_backend(&running).unwrap();
            assert_eq!(kept.info().parameters, exported.info().parameters);
            assert_eq!(scores(&mut kept), scores(&mut exported), "{name}, {settings:?}");
        }
    }
}

#[test]
fn adapters_train_only_themselves() {
    let settings = TrainSettings::lora(LoraSettings {
        rank: 2,
        targets: [Projection::QProj, Projection::DownProj].into(),
        ..LoraSettings::default()
    });
    let learner = learner("tiny-llama", &settings);
    // Two layers of rank 2 beside a 64 by 64 and a 64 by 160 matrix.
    assert_eq!(learner.trained_weights(), 2 * 2 * ((64 + 64) + (64 + 160)));
}

#[test]
fn dropout_is_drawn_anew_for_each_pass_and_repeats() {
    let mut one = learner("tiny-llama", &dropping(0.5));
    // Adapters begin as nothing; dropout shows once they are something.
    train(&mut one, 2);
    let mut two = learner("tiny-llama", &dropping(0.5));
    train(&mut two, 2);
    let batch = batch(&one);
    let (first, second) = (one.forward(&batch).unwrap(), one.forward(&batch).unwrap());
    assert_ne!(first, second, "two passes dropped the same");
    assert_eq!(two.forward(&batch).unwrap(), first, "the same pass of two runs");
    assert_ne!(one.log_probs(&batch).unwrap(), first, "log_probs does not drop");
    assert_eq!(one.log_probs(&batch).unwrap(), two.log_probs(&batch).unwrap());
    let other = TrainSettings { seed: Seed(9), ..dropping(0.5) };
    let mut three = learner("tiny-llama", &other);
    train(&mut three, 2);
    assert_ne!(three.log_probs(&batch).unwrap(), two.log_probs(&batch).unwrap(), "another seed");
}

#[test]
fn what_is_dropped_is_dropped_again_when_recomputed() {
    let recompute = TrainSettings { activations: Activations::Recompute, ..dropping(0.3) };
    let (mut kept, mut recomputed) =
        (learner("tiny-llama", &dropping(0.3)), learner("tiny-llama", &recompute));
    train(&mut kept, 3);
    train(&mut recomputed, 3);
    let batch = batch(&kept);
    assert_close(&recomputed.log_probs(&batch).unwrap(), &kept.log_probs(&batch).unwrap(), 1e-3);
}

#[test]
fn a_checkpoint_holds_the_dropout_too() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("step-2");
    let mut one = learner("tiny-llama", &dropping(0.3));
    train(&mut one, 2);
    one.save_checkpoint(&place).unwrap();
    train(&mut one, 2);
    let mut two = learner("tiny-llama", &dropping(0.3));
    two.load_checkpoint(&place).unwrap();
    train(&mut two, 2);
    let batch = batch(&one);
    assert_eq!(one.log_probs(&batch).unwrap(), two.log_probs(&batch).unwrap());
    let files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["step-2"], "nothing stands beside a checkpoint");
}

#[test]
fn training_goes_on_on_another_device() {
    for &device in BurnDevice::BUILT_IN {
        for settings in [dropping(0.3), TrainSettings::default()] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("checkpoint");
            let mut here = learner("tiny-llama", &settings);
            train(&mut here, 2);
            here.save_checkpoint(&path).unwrap();
            train(&mut here, 2);
            let mut there = learner("tiny-llama", &TrainSettings { device, ..settings });
            there.load_checkpoint(&path).unwrap();
            train(&mut there, 2);
            let batch = batch(&here);
            assert_close(&there.log_probs(&batch).unwrap(), &here.log_probs(&batch).unwrap(), 1e-3);
        }
    }
}

#[test]
fn products_in_bf16_are_made_or_refused() {
    for &device in BurnDevice::BUILT_IN {
        let settings = TrainSettings { device, products: Products::Bf16, ..TrainSettings::default() };
        match BurnLearner::load(&fixture("tiny-llama"), &settings) {
            Ok(mut rounded) => {
                let batch = batch(&rounded);
                let expected = learner("tiny-llama", &TrainSettings::default()).log_probs(&batch).unwrap();
                assert_close(&rounded.log_probs(&batch).unwrap(), &expected, 0.1);
            }
            Err(error) => {
                let source = std::error::Error::source(&error).unwrap().to_string();
                assert!(source.contains("has no products in bf16"), "{source}");
                assert_ne!(device, BurnDevice::Cpu);
            }
        }
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("step-0");
    learner("tiny-llama", &dropping(0.3)).save_checkpoint(&place).unwrap();
    let refused = |mut learner: BurnLearner| {
        let batch = batch(&learner);
        let before = learner.log_probs(&batch).unwrap();
        let error = learner.load_checkpoint(&place).unwrap_err();
        assert!(matches!(error, LearnerError::Checkpoint { .. }), "{error:?}");
        assert_eq!(learner.log_probs(&batch).unwrap(), before);
        format!("{error:?}")
    };
    let error = refused(learner("tiny-llama", &dropping(0.2)));
    assert!(error.contains("settings"), "{error}");
    let error = refused(learner("tiny-qwen2", &dropping(0.3)));
    assert!(error.contains("another model"), "{error}");
    refused(learner("tiny-llama", &TrainSettings { method: Method::Full, ..TrainSettings::default() }));

    let weights = place.join("weights.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let error = refused(learner("tiny-llama", &dropping(0.3)));
    assert!(error.contains("weights.safetensors"), "{error}");
}

#[test]
fn a_gradient_that_is_not_finite_is_named_and_changes_nothing() {
    let mut learner = learner("tiny-llama", &TrainSettings::default());
    let batch = batch(&learner);
    let before = learner.log_probs(&batch).unwrap();
    let log_probs = learner.forward(&batch).unwrap();
    let weights: Vec<Vec<f32>> = log_probs.iter().map(|row| vec![f32::NAN; row.len()]).collect();
    learner.backward(&weights).unwrap();
    let error = learner.step(&StepSettings::default()).unwrap_err();
    assert!(matches!(error, LearnerError::NotFinite { step: 1 }), "{error:?}");
    assert_eq!(learner.log_probs(&batch).unwrap(), before);
    train(&mut learner, 1);
}
