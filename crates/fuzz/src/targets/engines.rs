//! Files that engines read by libraries of their own.

use std::{cell::RefCell, fs, path::Path};

use lancer_backend::{Backend, Collect, GenerateRequest, Learner, Prompt, Seed};
use lancer_burn::{BurnLearner, TrainSettings};
use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
use lancer_onnx::{OnnxRuntime, OnnxSettings};

use super::{file, fixture, outcome, root};
use crate::outcome::Outcome;

/// Loads a GGUF file in llama.cpp and has it write a few tokens, as `eval` does.
pub(super) fn llama_cpp(input: &[u8], folder: &Path) -> Outcome {
    let path = match file(folder, "model.gguf", input) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    outcome(LlamaCpp::load(&path, &LlamaCppSettings::default()).and_then(|mut engine| written(&mut engine)))
}

fn written(engine: &mut dyn Backend) -> Result<String, lancer_backend::BackendError> {
    let mut completions = Collect::default();
    let mut request = GenerateRequest::new(Prompt::Text("hello \u{1f44b} \n".into()));
    request.max_tokens = 4;
    engine.generate(&[request], &mut completions)?;
    Ok(format!("{} completions", completions.0.len()))
}

thread_local! {
    /// A model that is trained, to which checkpoints belong: loaded once in a worker.
    static LEARNER: RefCell<Option<BurnLearner>> = const { RefCell::new(None) };
}

fn with_learner<T>(run: impl FnOnce(&mut BurnLearner) -> T) -> Option<T> {
    LEARNER.with_borrow_mut(|learner| {
        if learner.is_none() {
            let settings = TrainSettings { seed: Seed(1), ..TrainSettings::default() };
            *learner = BurnLearner::load(&root().join("fixtures/tiny-llama"), &settings).ok();
        }
        learner.as_mut().map(run)
    })
}

/// A checkpoint whose file of weights is the input.
pub(super) fn checkpoint(input: &[u8], folder: &Path) -> Outcome {
    let place = folder.join("checkpoint");
    let loaded = with_learner(|learner| {
        if !place.exists() {
            learner.save_checkpoint(&place)?;
        }
        let is_state = input.first() == Some(&b'{');
        let changed = place.join(if is_state { "state.json" } else { "weights.safetensors" });
        let kept = fs::read(&changed).unwrap_or_default();
        // Written to memory: what fails here fails in the loading too.
        let _ = fs::write(&changed, input);
        let loaded = learner.load_checkpoint(&place);
        let _ = fs::write(&changed, kept);
        loaded
    });
    match loaded {
        Some(loaded) => outcome(loaded.map(|()| String::new())),
        None => Outcome::Refused("no learner".into()),
    }
}

pub(super) fn checkpoints() -> Vec<Vec<u8>> {
    let made = tempfile::tempdir().ok().and_then(|folder| {
        let place = folder.path().join("checkpoint");
        with_learner(|learner| learner.save_checkpoint(&place))?.ok()?;
        Some(["weights.safetensors", "state.json"].map(|name| fs::read(place.join(name)).unwrap_or_default()))
    });
    made.into_iter().flatten().collect()
}

/// Loads an ONNX file beside the configuration and the tokenizer of a tiny Llama, and has it write a few tokens.
pub(super) fn onnx(input: &[u8], folder: &Path) -> Outcome {
    for other in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = folder.join(other);
        if !path.exists() {
            let _ = fs::write(path, fixture(&format!("tiny-llama/{other}")));
        }
    }
    let path = match file(folder, "model.onnx", input) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    outcome(OnnxRuntime::load(&path, &OnnxSettings::default()).and_then(|mut engine| written(&mut engine)))
}

pub(super) fn onnx_files() -> Vec<Vec<u8>> {
    vec![fixture("onnx/optimum_quantized.onnx")]
}
