//! The loop's engines, scripted: a backend that answers from a function, and a learner that is a table of bytes.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod outcome;

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::Path,
    process::{self, Command},
};

use lancer_backend::{
    Backend, BackendError, Conversation, Learner, LearnerError, Seed, StepReport, StepSettings, TrainedTurns,
    TrainingSequence, WeightFormat,
    scripted::{ScriptedBackend, ScriptedLearner},
};
use lancer_evolve::{Engines, Recipe, RunnableModels};

pub(crate) struct ScriptedEngines;

impl Engines for ScriptedEngines {
    fn runs(&self) -> RunnableModels {
        RunnableModels::Gguf
    }

    fn import(&mut self, _: &Path, to: &Path, _: WeightFormat) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(fs::write(to, "a scripted model")?)
    }

    fn backend(&mut self, _: &Path) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new(ScriptedBackend::new(answer)))
    }

    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
        match settings.keys().next() {
            Some(name) => Err(format!("unknown field `{name}`, there are none").into()),
            None => Ok(()),
        }
    }

    fn learner(&mut self, model: &Path, _: &toml::Table, _: Seed) -> Result<Box<dyn Learner>, LearnerError> {
        // The user's model is a new one; those of the run were exported.
        let is_new = model.ends_with("model.bin");
        let inner = if is_new { ScriptedLearner::new() } else { ScriptedLearner::load(model)? };
        Ok(Box::new(SpoiledLearner { inner }))
    }
}

/// The scripted engines with another backend, made for each model.
#[derive(Clone)]
pub(crate) struct WithBackend<F>(pub(crate) F);

impl<F: Fn(&Path) -> ScriptedBackend> Engines for WithBackend<F> {
    fn runs(&self) -> RunnableModels {
        ScriptedEngines.runs()
    }

    fn import(
        &mut self,
        from: &Path,
        to: &Path,
        format: WeightFormat,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        ScriptedEngines.import(from, to, format)
    }

    fn backend(&mut self, model: &Path) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new((self.0)(model)))
    }

    fn check_learner(&self, settings: &toml::Table) -> Result<(), Box<dyn Error + Send + Sync>> {
        ScriptedEngines.check_learner(settings)
    }

    fn learner(
        &mut self,
        model: &Path,
        settings: &toml::Table,
        seed: Seed,
    ) -> Result<Box<dyn Learner>, LearnerError> {
        ScriptedEngines.learner(model, settings, seed)
    }
}

/// The scripted learner, for which responses that begin with `Tell river` have log-probabilities that are no numbers. It kills
/// its process after it has exported a model of the name that the environment has.
struct SpoiledLearner {
    inner: ScriptedLearner,
}

/// The name of the model after whose export the process is killed.
pub(crate) const KILL_AFTER_EXPORT: &str = "LANCER_TEST_KILL_AFTER_EXPORT";

/// Kills its own process, as `kill -9` does.
pub(crate) fn kill() -> ! {
    let id = process::id().to_string();
    Command::new("kill").args(["-9", &id]).status().unwrap();
    // The signal may take a moment.
    loop {
        std::thread::park();
    }
}

fn spoil(batch: &[TrainingSequence], mut log_probs: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    for (sequence, log_probs) in batch.iter().zip(&mut log_probs) {
        let text: Vec<u8> = sequence.targets().filter_map(|token| u8::try_from(token.0).ok()).collect();
        if text.starts_with(b"Tell river") {
            log_probs[0] = f32::NAN;
        }
    }
    log_probs
}

impl Learner for SpoiledLearner {
    fn context_length(&self) -> usize {
        self.inner.context_length()
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        self.inner.encode(chat, turns)
    }

    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        Ok(spoil(batch, self.inner.log_probs(batch)?))
    }

    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        Ok(spoil(batch, self.inner.forward(batch)?))
    }

    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError> {
        self.inner.backward(weights)
    }

    fn gradient_norm(&mut self) -> Result<f64, LearnerError> {
        self.inner.gradient_norm()
    }

    fn clear_gradient(&mut self) {
        self.inner.clear_gradient();
    }

    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError> {
        self.inner.step(settings)
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError> {
        self.inner.save_checkpoint(folder)
    }

    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError> {
        self.inner.load_checkpoint(folder)
    }

    fn export(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
        self.inner.export(path, format)?;
        if env::var(KILL_AFTER_EXPORT).is_ok_and(|name| path.ends_with(name)) {
            kill();
        }
        Ok(())
    }
}

/// What the scripted texts are made of.
const WORDS: [&str; 16] = [
    "river", "stone", "cloud", "paper", "garden", "window", "silver", "morning", "letter", "bridge",
    "candle", "winter", "market", "island", "forest", "music",
];

/// A review where a score is asked for, else a sentence that its seed decides.
pub(crate) fn answer(prompt: &str, seed: Seed) -> String {
    if prompt.contains("score") {
        return format!("It answers the question.\nscore: {}", seed.0 % 11);
    }
    let mut text = String::from("Tell");
    for number in 0..12 {
        let word = WORDS[(seed.derive(&number.to_string()).0 % 16) as usize];
        let _ = write!(text, " {word}");
    }
    text + "."
}

/// Two small iterations over six seeds that are written into the run's folder.
pub(crate) fn recipe(folder: &Path) -> Recipe {
    fs::create_dir_all(folder).unwrap();
    let seeds = folder.join("seeds.jsonl");
    if !seeds.exists() {
        let mut text = String::new();
        for (number, (prompt, response)) in [
            (
                "What is the capital city of France?",
                "It is Paris, a city on the river Seine in the north of the country.",
            ),
            (
                "Name three kinds of fruit that are red.",
                "Apples, strawberries and cherries are three kinds of fruit that are red.",
            ),
            (
                "Why is the sky blue on a clear day?",
                "Air scatters blue light more than red light, so blue comes from everywhere.",
            ),
            (
                "Write one sentence about the sea.",
                "The sea is deep and cold, and it is never quite still for long.",
            ),
            (
                "How do you boil an egg properly?",
                "Put it into boiling water and wait for eight minutes before you peel it.",
            ),
            (
                "Explain what a comma is for.",
                "A comma shows a short pause and keeps the parts of a sentence apart.",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let _ =
                writeln!(text, r#"{{"id": "s{number}", "prompt": "{prompt}", "response": "{response}"}}"#);
        }
        fs::write(&seeds, text).unwrap();
        fs::write(folder.join("model.bin"), "a scripted model").unwrap();
        fs::write(
            folder.join("task.toml"),
            "name = \"held out\"\ndata = \"seeds.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ prompt }}\"\n\
             [response_nll]\nresponse = \"response\"\n",
        )
        .unwrap();
    }
    let changes = [
        "iterations=2",
        "review.mode=rubric",
        "review.samples=2",
        "review.trial_seeds=3",
        "expand.worse_over=5.0",
        "expand.prompts=2",
        "expand.responses=2",
        "expand.worse_responses=2",
        "annotate.sft_threshold=2.0",
        "annotate.review_examples=2",
        "merge.threshold=4.0",
        "sft.train.batch={examples=2}",
        "sft.train.checkpoint_every=2",
        "sft.train.evaluate_every=3",
        "sft.held_out=0.2",
        "preference.train.batch={examples=2}",
        "preference.train.checkpoint_every=2",
        "preference.train.evaluate_every=3",
        "preference.held_out=0.2",
        "preference.max_pairs=12",
        "evaluate.tasks=['task.toml']",
        // The task's items are the seeds.
        "decontaminate.words=0",
    ]
    .map(str::to_owned);
    let recipe = Recipe { model: "model.bin".into(), seeds: "seeds.jsonl".into(), ..Recipe::default() };
    recipe.with(&changes).unwrap().resolved(folder)
}
