//! A model is the same in every engine: the tiny ones, and what Burn makes of them by training.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu", feature = "onnx"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend, Collect, GenerateRequest, Learner, Message, Prompt, StepSettings, WeightFormat,
    conformance::{self, TINY_MODELS},
};
use lancer_burn::{BurnBackend, BurnLearner, LoraSettings, TrainSettings};
use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
use lancer_model::{ConvertFormat, Model, convert};
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Operators, export};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

const PROMPTS: [&str; 10] = [
    "Name a colour.",
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "What is 2 + 2?",
    "Why is the sky blue?",
    "Give me a word that rhymes with cat.",
    "Is the moon a planet?",
    "Translate \"good morning\" into French.",
    "Say \"naïve\" in capitals.",
    "List three animals.",
];

fn greedy(engine: &mut dyn Backend) -> Vec<String> {
    let requests: Vec<_> =
        PROMPTS.iter().map(|&prompt| GenerateRequest::new(Prompt::user(prompt)).max_tokens(24)).collect();
    let mut collected = Collect::default();
    engine.generate(&requests, &mut collected).unwrap();
    collected.0.sort_by_key(|completion| completion.request);
    collected.0.into_iter().map(|completion| completion.text).collect()
}

fn trained(name: &str, settings: &TrainSettings) -> BurnLearner {
    let mut learner = BurnLearner::load(&fixture(name), settings).unwrap();
    let batch = [
        learner.encode(&[Message::user(PROMPTS[0])], "Blue is a colour.").unwrap(),
        learner.encode(&[Message::user(PROMPTS[4])], "Air scatters blue light.").unwrap(),
    ];
    for _ in 0..4 {
        let log_probs = learner.forward(&batch).unwrap();
        let weights: Vec<Vec<f32>> = log_probs.iter().map(|targets| vec![-0.1; targets.len()]).collect();
        learner.backward(&weights).unwrap();
        learner.step(&StepSettings { learning_rate: 2e-3, ..StepSettings::default() }).unwrap();
    }
    learner
}

/// Tests run side by side, one on each core.
fn llama_cpp(file: &Path) -> LlamaCpp {
    let settings = LlamaCppSettings { threads: NonZeroU32::new(1), ..LlamaCppSettings::default() };
    LlamaCpp::load(file, &settings).unwrap()
}

/// The model in ONNX Runtime, written beside it.
fn onnx(model: &Path, operators: Operators) -> OnnxRuntime {
    let to = model.with_extension("onnx-folder");
    let opened = Model::open(model).unwrap();
    export(&opened, &opened, &to, &ExportSettings { operators, ..ExportSettings::default() }).unwrap();
    let settings = OnnxSettings { threads: NonZeroU32::new(1), ..OnnxSettings::default() };
    OnnxRuntime::load(&to, &settings).unwrap()
}

#[test]
fn three_engines_agree() {
    for name in TINY_MODELS {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("tiny.gguf");
        convert(&Model::open(&fixture(name)).unwrap(), &file, ConvertFormat::F32).unwrap();
        let mut burn = BurnBackend::load(&fixture(name)).unwrap();
        let mut llama_cpp = llama_cpp(&file);
        for operators in [Operators::Fused, Operators::Plain] {
            // From the GGUF file, so that its tokenizer and the order of its rows are held against the folder's too.
            let mut onnx = onnx(&file, operators);
            conformance::backends_agree(&mut onnx, &mut burn, 1e-3);
            conformance::backends_agree(&mut onnx, &mut llama_cpp, 1e-3);
            assert_eq!(greedy(&mut onnx), greedy(&mut burn), "{name}, {operators:?}");
        }
        conformance::backends_agree(&mut llama_cpp, &mut burn, 1e-3);
    }
}

#[test]
fn a_trained_model_is_the_same_in_every_engine() {
    for name in TINY_MODELS {
        for settings in [TrainSettings::default(), TrainSettings::lora(LoraSettings::default())] {
            let mut learner = trained(name, &settings);
            let scratch = tempfile::tempdir().unwrap();
            let (file, folder) = (scratch.path().join("trained.gguf"), scratch.path().join("trained"));
            learner.export(&file, WeightFormat::F32).unwrap();
            learner.export(&folder, WeightFormat::F32).unwrap();

            let mut llama_cpp = llama_cpp(&file);
            let mut onnx = onnx(&folder, Operators::Fused);
            let mut burn = BurnBackend::load(&folder).unwrap();
            conformance::backends_agree(&mut llama_cpp, &mut burn, 1e-3);
            conformance::learner_agrees(&mut learner, &mut llama_cpp, 1e-3);
            conformance::backends_agree(&mut onnx, &mut burn, 1e-3);
            conformance::learner_agrees(&mut learner, &mut onnx, 1e-3);
            assert_eq!(greedy(&mut llama_cpp), greedy(&mut burn), "{name}");
            assert_eq!(greedy(&mut onnx), greedy(&mut burn), "{name}");

            let mut before = BurnBackend::load(&fixture(name)).unwrap();
            assert_ne!(greedy(&mut before), greedy(&mut burn), "{name}: training changed nothing");
        }
    }
}
