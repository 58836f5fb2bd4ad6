//! The engines of a life: a backend that answers from a function, and a tiny learner.

use std::{error::Error, fmt::Write, fs, ops::ControlFlow, path::Path, rc::Rc};

use lancer_backend::{
    Backend, BackendError, Completion, CompletionSink, GenerateRequest, Learner, LearnerError, ModelInfo,
    Prompt, ScoreRequest, ScoredContinuation, Seed, TokenId, Usage, WeightFormat, scripted::ScriptedBackend,
};
use lancer_evolve::{Engines, RunnableModels};

use super::{
    faults::{Engine, EnginePoint},
    learner::TinyLearner,
};
use crate::world::World;

/// Scripted engines in which things go wrong.
pub(super) struct ScriptedEngines {
    engine: Rc<Engine>,
    world: World,
}

impl ScriptedEngines {
    pub(super) fn new(engine: Rc<Engine>, world: World) -> Self {
        Self { engine, world }
    }

    fn load(&self, model: &Path) -> Result<TinyLearner, LearnerError> {
        TinyLearner::load(model, Rc::clone(&self.engine), self.world == World::Spoiled)
    }
}

impl Engines for ScriptedEngines {
    fn runs(&self) -> RunnableModels {
        self.world.runs()
    }

    fn import(
        &mut self,
        model: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.load(model)?.export(to, format)?)
    }

    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        let failed = |source| BackendError::Load { path: model.into(), source };
        if self.engine.at(EnginePoint::Load, &model.display().to_string()).is_some() {
            return Err(failed("the engine is out of memory".into()));
        }
        // What it answers does not depend on the weights, but it reads them as an engine does.
        self.load(model).map_err(|source| failed(source.into()))?;
        Ok(Box::new(FaultyBackend { engine: Rc::clone(&self.engine), inner: ScriptedBackend::new(answer) }))
    }

    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
        match settings.keys().next() {
            Some(name) => Err(format!("unknown field `{name}`, there are none").into()),
            None => Ok(()),
        }
    }

    fn learner(&mut self, model: &Path, _: &toml::Table, _: Seed) -> Result<Box<dyn Learner>, LearnerError> {
        if self.engine.at(EnginePoint::Load, &model.display().to_string()).is_some() {
            return Err(LearnerError::Load {
                path: model.into(),
                source: "the engine is out of memory".into(),
            });
        }
        Ok(Box::new(self.load(model)?))
    }
}

/// What the scripted texts are made of.
const WORDS: [&str; 16] = [
    "river", "stone", "cloud", "paper", "garden", "window", "silver", "morning", "letter", "bridge",
    "candle", "winter", "market", "island", "forest", "music",
];

/// A review where a score is asked for, else a sentence that its seed decides.
fn answer(prompt: &str, seed: Seed) -> String {
    if prompt.contains("score") {
        return format!("It answers the question.\nscore: {}", seed.0 % 11);
    }
    let mut text = String::from("Tell");
    for number in 0..12 {
        let word = WORDS[(seed.derive(&number.to_string()).0 % 16) as usize];
        // Writing to a text cannot fail.
        let _ = write!(text, " {word}");
    }
    text + "."
}

/// A scripted backend that comes to a point with every answer.
struct FaultyBackend {
    engine: Rc<Engine>,
    inner: ScriptedBackend,
}

fn failed(action: &str) -> BackendError {
    BackendError::Engine { engine: "scripted", action: action.into(), source: "it is out of memory".into() }
}

impl Backend for FaultyBackend {
    fn info(&self) -> ModelInfo {
        self.inner.info()
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        self.inner.tokenize(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        self.inner.detokenize(tokens)
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        let mut points = Points { engine: &self.engine, sink, has_failed: false };
        let result = self.inner.generate(requests, &mut points);
        if points.has_failed { Err(failed("generating")) } else { result }
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        let mut has_failed = false;
        let result = self.inner.score(requests, &mut |request, scored| {
            if self.engine.at(EnginePoint::Score, &request.to_string()).is_some() {
                has_failed = true;
                return ControlFlow::Break(());
            }
            sink(request, scored)
        });
        if has_failed { Err(failed("scoring")) } else { result }
    }

    fn forget(&mut self) {
        self.inner.forget();
    }
}

/// Hands completions on, each after its point.
struct Points<'a> {
    engine: &'a Engine,
    sink: &'a mut dyn CompletionSink,
    has_failed: bool,
}

impl CompletionSink for Points<'_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        let text = completion.text.replace('\n', " ");
        if self.engine.at(EnginePoint::Sample, &text).is_some() {
            self.has_failed = true;
            return ControlFlow::Break(());
        }
        self.sink.completed(completion)
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}

/// Writes the model that every run begins with.
pub(crate) fn write_first_model(path: &Path) -> std::io::Result<()> {
    fs::write(path, TinyLearner::first_weights())
}
