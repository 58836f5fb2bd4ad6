//! Adapters: against PEFT, over bases in block formats, as files, and from fine-tuning into preference training.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::{BTreeMap, HashMap},
    env,
    error::Error,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
};

use lancer_backend::{
    Backend, Continuation, Conversation, Learner, LearnerError, Message, Prompt, ScoreRequest, StepSettings,
    TrainedTurns, TrainingSequence, WeightFormat,
};
use lancer_burn::{
    Activations, BurnBackend, BurnLearner, BurnSettings, LoraSettings, Products, Projection, Scaling,
    Targets, TrainSettings,
};
use lancer_model::{Adapter, ConvertFormat, Model, convert};
use lancer_prefer::{
    BatchSize, CheckpointPolicy, OptimizerSettings, PreferenceExample, Schedule, SftExample, Split,
    loss::{Dpo, PreferenceLoss},
    train_preference, train_sft,
};
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

/// A step after which a weight has moved by `g / (|g| + 1)`.
const GRADIENT: StepSettings = StepSettings {
    learning_rate: 1.0,
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1.0,
    weight_decay: 0.0,
    max_gradient_norm: None,
};

#[derive(Deserialize)]
struct Run {
    model: String,
    rate_of_b: f64,
    examples: Vec<(String, String)>,
    log_probs: Vec<Vec<f32>>,
    loss: f64,
    gradients: BTreeMap<String, Sampled>,
    stepped: BTreeMap<String, Sampled>,
}

#[derive(Deserialize)]
struct Sampled {
    norm: f64,
    samples: Vec<f32>,
}

impl Sampled {
    fn assert_is(&self, numbers: &[f32], tolerance: f32, of: &str) {
        let norm = numbers.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt();
        assert!((norm / self.norm - 1.0).abs() < 1e-3, "{of}: norm {norm}, expected {}", self.norm);
        for (i, expected) in self.samples.iter().enumerate() {
            let found = numbers[i * numbers.len() / self.samples.len()];
            assert!((found - expected).abs() < tolerance, "{of}[{i}]: {found}, expected {expected}");
        }
    }
}

fn runs() -> BTreeMap<String, Run> {
    serde_json::from_slice(&fs::read(fixture("burn/peft.json")).unwrap()).unwrap()
}

/// Settings that go on from an adapter.
fn settings_of(adapter: &Adapter, rate_of_b: f64) -> TrainSettings {
    let has = |projection: &Projection| {
        adapter.pairs.keys().any(|module| module.ends_with(&format!(".{}", projection.name())))
    };
    let targets = Targets::Some(Projection::ALL.into_iter().filter(has).collect());
    TrainSettings::lora(LoraSettings {
        rank: adapter.scale.rank,
        alpha: adapter.scale.alpha,
        scaling: if adapter.scale.by_root { Scaling::RootOfRank } else { Scaling::Rank },
        // As a setting reads all of them.
        targets: if targets.projections().count() == Projection::ALL.len() {
            Targets::AllLinear
        } else {
            targets
        },
        rate_of_b,
        ..LoraSettings::default()
    })
}

fn learner_of(run: &Run, name: &str) -> BurnLearner {
    let model = Model::open(&fixture(&run.model)).unwrap();
    let model = model.with_adapter(&fixture("burn/peft").join(name)).unwrap();
    let settings = settings_of(model.adapter().unwrap(), run.rate_of_b);
    BurnLearner::over(model, &settings).unwrap()
}

fn encoded(learner: &BurnLearner, examples: &[(String, String)]) -> Vec<TrainingSequence> {
    let encode = |(prompt, response): &(String, String)| {
        learner.encode(&Conversation::of_pair(prompt, response), TrainedTurns::Last).unwrap()
    };
    examples.iter().map(encode).collect()
}

/// Goes back from the mean negative log-likelihood, and makes a step.
fn step(learner: &mut BurnLearner, batch: &[TrainingSequence], settings: &StepSettings) -> f64 {
    let log_probs = learner.forward(batch).unwrap();
    let count = log_probs.iter().map(Vec::len).sum::<usize>() as f32;
    learner.backward(&log_probs.iter().map(|row| vec![-1.0 / count; row.len()]).collect::<Vec<_>>()).unwrap();
    learner.step(settings).unwrap();
    -log_probs.iter().flatten().map(|&log_prob| f64::from(log_prob)).sum::<f64>() / f64::from(count)
}

/// The adapter as it is now, by PEFT's names.
fn numbers(learner: &BurnLearner, config: &lancer_model::Config) -> BTreeMap<String, Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    learner.export_trained(&path, WeightFormat::F32).unwrap();
    let adapter = Adapter::open(&path, config).unwrap();
    let named = |(module, pair): (String, lancer_model::AdapterPair)| {
        [("A", pair.down), ("B", pair.up)]
            .map(|(letter, tensor)| (format!("base_model.model.{module}.lora_{letter}.weight"), tensor.data))
    };
    adapter.pairs.into_iter().flat_map(named).collect()
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
        }
    }
}

#[test]
fn log_probabilities_gradients_and_steps_are_pefts() {
    for (name, run) in &runs() {
        let config = Model::open(&fixture(&run.model)).unwrap().config().clone();
        let mut learner = learner_of(run, name);
        let batch = encoded(&learner, &run.examples);
        assert_close(&learner.log_probs(&batch).unwrap(), &run.log_probs, 1e-4);
        let before = numbers(&learner, &config);
        assert_eq!(before.keys().collect::<Vec<_>>(), run.gradients.keys().collect::<Vec<_>>(), "{name}");
        let loss = step(&mut learner, &batch, &GRADIENT);
        assert!((loss - run.loss).abs() < 1e-4, "{name}: {loss}, expected {}", run.loss);
        for (parameter, after) in numbers(&learner, &config) {
            let rate = if parameter.contains("lora_B") { run.rate_of_b as f32 } else { 1.0 };
            let gradient = |(before, after): (&f32, &f32)| {
                let moved = (before - after) / rate;
                moved / (1.0 - moved.abs())
            };
            let found: Vec<f32> = before[&parameter].iter().zip(&after).map(gradient).collect();
            run.gradients[&parameter].assert_is(
                &found,
                1e-4,
                &format!("{name}: the gradient of {parameter}"),
            );
        }

        let mut learner = learner_of(run, name);
        let adamw = StepSettings {
            learning_rate: 1e-3,
            weight_decay: 0.1,
            max_gradient_norm: None,
            ..StepSettings::default()
        };
        step(&mut learner, &batch, &adamw);
        for (parameter, found) in numbers(&learner, &config) {
            run.stepped[&parameter].assert_is(&found, 1e-4, &format!("{name}: {parameter} after a step"));
        }
    }
}

fn lora(rank: usize) -> LoraSettings {
    LoraSettings { rank, ..LoraSettings::default() }
}

/// Models with matrices in block formats, and the same with 32-bit floats, in `folder`.
fn in_two_forms(folder: &Path) -> Vec<(String, PathBuf, PathBuf)> {
    let mut models = vec![("all block formats".to_owned(), fixture("burn/blocks.gguf"))];
    for name in ["tiny-llama", "tiny-qwen2", "tiny-gemma3"] {
        let forms = [
            ("half.gguf", ConvertFormat::Half),
            ("half", ConvertFormat::Half),
            ("q8_0.gguf", ConvertFormat::Q8_0),
        ];
        for (form, format) in forms {
            let path = folder.join(format!("{name}-{form}"));
            convert(&Model::open(&fixture(name)).unwrap(), &path, format).unwrap();
            models.push((format!("{name} as {form}"), path));
        }
    }
    let widened = |(place, (name, path)): (usize, (String, PathBuf))| {
        let to = folder.join(format!("{place}-f32.gguf"));
        convert(&Model::open(&path).unwrap(), &to, ConvertFormat::F32).unwrap();
        (name, path, to)
    };
    models.into_iter().enumerate().map(widened).collect()
}

const TEXTS: [(&str, &str); 2] =
    [("Name a colour.", "Blue."), ("What is the capital of France?", "It is Rome.")];

fn batch(learner: &BurnLearner) -> Vec<TrainingSequence> {
    TEXTS
        .iter()
        .map(|(prompt, response)| {
            learner.encode(&Conversation::of_pair(*prompt, *response), TrainedTurns::Last).unwrap()
        })
        .collect()
}

#[test]
fn a_base_in_blocks_is_trained_over_as_its_weights_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    for (name, blocks, widened) in in_two_forms(folder.path()) {
        for dropout in [0.0, 0.3] {
            let settings = TrainSettings::lora(LoraSettings { dropout, ..lora(4) });
            let [mut one, mut other] =
                [&blocks, &widened].map(|path| BurnLearner::load(path, &settings).unwrap());
            let batch = batch(&one);
            let config = Model::open(&blocks).unwrap().config().clone();
            // B is zero at first, and A then has no gradient.
            for learner in [&mut one, &mut other] {
                step(learner, &batch, &StepSettings { learning_rate: 0.05, ..GRADIENT });
                step(learner, &batch, &GRADIENT);
            }
            let expected = numbers(&other, &config);
            for (parameter, found) in numbers(&one, &config) {
                for (found, expected) in found.iter().zip(&expected[&parameter]) {
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{name}: {parameter}: {found}, expected {expected}"
                    );
                }
            }
            assert_close(&one.log_probs(&batch).unwrap(), &other.log_probs(&batch).unwrap(), 2e-4);
            assert_eq!(one.weights(), other.weights());
            let merged = folder.path().join("merged.gguf");
            one.export(&merged, WeightFormat::F32).unwrap();
            let mut merged_learner = BurnLearner::load(&merged, &TrainSettings::default()).unwrap();
            assert_close(&merged_learner.log_probs(&batch).unwrap(), &one.log_probs(&batch).unwrap(), 2e-4);
            fs::remove_file(&merged).unwrap();
        }
        let rounded = TrainSettings { products: Products::Bf16, ..TrainSettings::lora(lora(4)) };
        let mut rounded = BurnLearner::load(&blocks, &rounded).unwrap();
        let batch = batch(&rounded);
        let expected =
            BurnLearner::load(&widened, &TrainSettings::lora(lora(4))).unwrap().log_probs(&batch).unwrap();
        assert_close(&rounded.log_probs(&batch).unwrap(), &expected, 0.15);
        let loss =
            step(&mut rounded, &batch, &StepSettings { learning_rate: 1e-2, ..StepSettings::default() });
        let later = step(&mut rounded, &batch, &StepSettings::default());
        assert!(later < loss, "{name}: {later} after {loss}");
    }
}

#[test]
fn activations_that_are_made_again_are_the_same() {
    let dropping = TrainSettings::lora(LoraSettings { dropout: 0.4, ..lora(4) });
    for settings in [TrainSettings::lora(lora(4)), dropping, TrainSettings::default()] {
        let trained = [Activations::Keep, Activations::Recompute, Activations::Auto].map(|activations| {
            let settings = TrainSettings { activations, ..settings.clone() };
            let mut learner = BurnLearner::load(&fixture("burn/blocks.gguf"), &settings).unwrap();
            let batch = batch(&learner);
            for _ in 0..3 {
                step(&mut learner, &batch, &StepSettings { learning_rate: 1e-2, ..StepSettings::default() });
            }
            learner.log_probs(&batch).unwrap()
        });
        assert_eq!(trained[0], trained[1], "{settings:?}");
        assert_eq!(trained[0], trained[2], "{settings:?}");
    }
}

fn trained_over(base: &Path, steps: usize) -> (BurnLearner, Vec<TrainingSequence>) {
    let mut learner = BurnLearner::load(base, &TrainSettings::lora(lora(4))).unwrap();
    let batch = batch(&learner);
    for _ in 0..steps {
        step(&mut learner, &batch, &StepSettings { learning_rate: 1e-2, ..StepSettings::default() });
    }
    (learner, batch)
}

fn scores(path: &Path) -> Vec<f32> {
    let mut backend = BurnBackend::load(path, &BurnSettings::default()).unwrap();
    let requests: Vec<ScoreRequest> = TEXTS
        .iter()
        .map(|(prompt, response)| ScoreRequest {
            prompt: Prompt::user(*prompt),
            continuations: vec![Continuation::closed(*response)],
        })
        .collect();
    let mut found = vec![Vec::new(); requests.len()];
    let keep = &mut |place: usize, scored: Vec<lancer_backend::ScoredContinuation>| {
        found[place] = scored.into_iter().flat_map(|one| one.log_probs).collect();
        ControlFlow::Continue(())
    };
    backend.score(&requests, keep).unwrap();
    found.concat()
}

#[test]
fn an_adapter_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let q8_0 = folder.path().join("q8_0.gguf");
    convert(&Model::open(&fixture("tiny-llama")).unwrap(), &q8_0, ConvertFormat::Q8_0).unwrap();
    for (place, base) in [fixture("burn/blocks.gguf"), fixture("tiny-qwen2"), q8_0].into_iter().enumerate() {
        let (mut learner, batch) = trained_over(&base, 2);
        let expected = learner.log_probs(&batch).unwrap();
        let merged = folder.path().join(format!("{place}-merged.gguf"));
        let mut files = Vec::new();
        for name in ["adapter", "adapter.gguf"] {
            let path = folder.path().join(format!("{place}-{name}"));
            learner.export_trained(&path, WeightFormat::F32).unwrap();
            assert!(Adapter::is_at(&path) && !Adapter::is_at(&base));
            // Trained on, it is what it was.
            let settings = TrainSettings::lora(lora(4));
            let mut again = BurnLearner::load(&path, &settings).unwrap();
            assert_close(&again.log_probs(&batch).unwrap(), &expected, 1e-6);
            // Run, and converted, it is merged.
            let found = scores(&path);
            assert_close(std::slice::from_ref(&found), &[expected.concat()], 2e-4);
            files.push(found.clone());
            fs::remove_file(&merged).ok();
            convert(&Model::open(&path).unwrap(), &merged, ConvertFormat::F32).unwrap();
            assert_close(&[scores(&merged)], &[found], 1e-5);
        }
        assert_eq!(files[0], files[1]);
    }
}

/// The Python that has PEFT: the one that `LANCER_PYTHON` names, or `python3`.
fn python_with_peft() -> Option<String> {
    let python = env::var("LANCER_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import peft, torch, transformers"]).output().ok()?;
    found.status.success().then_some(python)
}

#[test]
fn peft_loads_what_is_written() {
    let Some(python) = python_with_peft() else {
        lancer_skipped::skip!("there is no Python with PEFT; name one by LANCER_PYTHON");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-llama", "tiny-qwen3"] {
        let (mut learner, batch) = trained_over(&fixture(name), 3);
        let path = folder.path().join(name);
        learner.export_trained(&path, WeightFormat::F32).unwrap();
        let mut command = Command::new(&python);
        command.arg(fixture("burn/check_peft.py")).arg(fixture(name)).arg(&path);
        let output =
            command.args(TEXTS.iter().flat_map(|(prompt, response)| [prompt, response])).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<Vec<f32>> = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_close(&learner.log_probs(&batch).unwrap(), &found, 1e-3);
    }
}

fn sources(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", sources(source)))
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let base = folder.path().join("base.gguf");
    let tiny = Model::open(&fixture("tiny-llama")).unwrap();
    convert(&tiny, &base, ConvertFormat::Q8_0).unwrap();
    let (learner, _) = trained_over(&base, 1);
    learner.export_trained(&path, WeightFormat::F32).unwrap();
    let refused = |model: &Path| {
        let error = Model::open(model).unwrap().with_adapter(&path).unwrap_err();
        sources(&error)
    };
    let error = refused(&fixture("burn/blocks.gguf"));
    assert!(error.contains("another base") && error.contains("down_proj"), "{error}");
    let error = refused(&fixture("tiny-llama"));
    assert!(error.contains("SHA-256") && error.contains("tiny-llama"), "{error}");

    // Other settings than the adapter's.
    let refused = |settings: LoraSettings| match BurnLearner::load(&path, &TrainSettings::lora(settings)) {
        Err(error @ LearnerError::Load { .. }) => sources(&error),
        _ => panic!("it was loaded"),
    };
    let error = refused(lora(8));
    assert!(error.contains("the rank 4, and lora asks for 8"), "{error}");
    let error = refused(LoraSettings { targets: [Projection::QProj].into(), ..lora(4) });
    assert!(error.contains("lora asks for q_proj"), "{error}");

    // The base is moved, and then another.
    let moved = folder.path().join("moved.gguf");
    fs::rename(&base, &moved).unwrap();
    let error = sources(&Model::open(&path).unwrap_err());
    assert!(error.contains("base.gguf is not there; give the base"), "{error}");
    assert!(Model::open(&moved).unwrap().with_adapter(&path).is_ok());
    convert(&tiny, &base, ConvertFormat::Half).unwrap();
    let error = sources(&Model::open(&path).unwrap_err());
    assert!(error.contains("SHA-256"), "{error}");
}

fn plan() -> lancer_prefer::TrainSettings {
    lancer_prefer::TrainSettings {
        epochs: 2,
        batch: BatchSize::Examples(2),
        optimizer: OptimizerSettings { learning_rate: 5e-3, ..OptimizerSettings::default() },
        schedule: Schedule { warmup_ratio: 0.0, ..Schedule::default() },
        ..lancer_prefer::TrainSettings::default()
    }
}

/// DPO on a fresh adapter over a model whose fine-tuning is an adapter too would have the fine-tuned model as its reference
/// only if that is the model that it starts from.
#[test]
fn preference_training_starts_from_the_fine_tuned_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sft");
    let settings = TrainSettings::lora(lora(4));
    let mut learner = BurnLearner::load(&fixture("burn/blocks.gguf"), &settings).unwrap();
    let (none, seed) = (CheckpointPolicy::None, lancer_backend::Seed(3));
    let examples: Vec<SftExample> = TEXTS
        .iter()
        .map(|(prompt, response)| SftExample::new(*prompt, Conversation::of_pair(*prompt, *response)))
        .collect();
    let split = Split::train_only(&examples);
    train_sft(&mut learner, split, &plan(), none, seed, &mut ()).unwrap();
    let batch = batch(&learner);
    let fine_tuned = learner.log_probs(&batch).unwrap();
    learner.export_trained(&path, WeightFormat::F32).unwrap();

    let mut learner = BurnLearner::load(&path, &settings).unwrap();
    assert_eq!(learner.log_probs(&batch).unwrap(), fine_tuned);
    let examples: Vec<PreferenceExample> = TEXTS
        .iter()
        .map(|(prompt, response)| PreferenceExample {
            key: (*prompt).into(),
            prompt: vec![Message::user(*prompt)].into(),
            chosen: Message::assistant(*response),
            rejected: Message::assistant("A horse is an animal."),
        })
        .collect();
    let loss = PreferenceLoss::Dpo(Dpo::default());
    let split = Split::train_only(&examples);
    let none = CheckpointPolicy::None;
    let report =
        train_preference(&mut learner, split, &loss, &plan(), none, seed, &mut HashMap::new(), &mut ())
            .unwrap();
    let losses: Vec<f64> = report.steps.iter().map(|step| step.loss).collect();
    assert_eq!(losses.len(), 2);
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-5, "{losses:?}");
    assert!(losses[1] < losses[0] - 1e-4, "{losses:?}");
}
