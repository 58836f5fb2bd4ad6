//! The loop's engines, scripted: a backend that answers from a function, and a learner that is a table of bytes.

pub(crate) mod outcome;

use std::{error::Error, fmt::Write, fs, path::Path};

use lancer_backend::{
    Backend, BackendError, Learner, LearnerError, Seed, WeightFormat,
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

    fn learner(&mut self, model: &Path, _: &toml::Table, _: Seed) -> Result<Box<dyn Learner>, LearnerError> {
        // The user's model is a new one; those of the run were exported.
        let is_new = model.ends_with("model.bin");
        Ok(Box::new(if is_new { ScriptedLearner::new() } else { ScriptedLearner::load(model)? }))
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
        "preference.train.batch={examples=2}",
        "preference.train.checkpoint_every=2",
        "preference.max_pairs=12",
        "evaluate.tasks=['task.toml']",
        // The task's items are the seeds.
        "decontaminate.words=0",
    ]
    .map(str::to_owned);
    let recipe = Recipe { model: "model.bin".into(), seeds: "seeds.jsonl".into(), ..Recipe::default() };
    recipe.with(&changes).unwrap().resolved(folder)
}
