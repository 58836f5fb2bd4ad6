//! The runs that are tortured: a few recipes over six seeds, and their inputs.

use std::{fmt, fmt::Write, fs, io, path::Path, str::FromStr};

use lancer_evolve::{EvolveError, Recipe, RunnableModels};

/// A recipe to run. Each has its own uninterrupted run to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum World {
    /// Two iterations with written reviews and DPO.
    Rubric,
    /// Two iterations with reviews by likelihood, KTO, losses on held-out examples, and a gate.
    Likelihood,
    /// Two iterations in which what is trained on is run, fine-tuned in the first only.
    Trainable,
    /// As the first, with a learner to which some responses have log-probabilities that are no numbers: their examples are set
    /// aside.
    Spoiled,
}

const NAMES: [(World, &str); 4] = [
    (World::Rubric, "rubric"),
    (World::Likelihood, "likelihood"),
    (World::Trainable, "trainable"),
    (World::Spoiled, "spoiled"),
];

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(world, _)| world == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for World {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(world, _)| *world).ok_or_else(|| format!("no world: {text}"))
    }
}

/// The files of the inputs.
pub(crate) const SEEDS: &str = "seeds.jsonl";
pub(crate) const MODEL: &str = "model.bin";
pub(crate) const TASK: &str = "task.toml";
pub(crate) const TASK_DATA: &str = "items.jsonl";

const PAIRS: [(&str, &str); 6] = [
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
    ("Write one sentence about the sea.", "The sea is deep and cold, and it is never quite still for long."),
    (
        "How do you boil an egg properly?",
        "Put it into boiling water and wait for eight minutes before you peel it.",
    ),
    ("Explain what a comma is for.", "A comma shows a short pause and keeps the parts of a sentence apart."),
];

impl World {
    pub(crate) const ALL: [Self; 4] = [Self::Rubric, Self::Likelihood, Self::Trainable, Self::Spoiled];

    /// What its engine runs.
    pub(crate) fn runs(self) -> RunnableModels {
        match self {
            Self::Rubric | Self::Likelihood | Self::Spoiled => RunnableModels::Gguf,
            Self::Trainable => RunnableModels::Trainable,
        }
    }

    /// Its recipe, over the inputs of a folder.
    pub(crate) fn recipe(self, inputs: &Path) -> Result<Recipe, EvolveError> {
        let common = [
            "iterations=2",
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
        ];
        let own: &[&str] = match self {
            Self::Rubric | Self::Spoiled => &["review.mode=rubric"],
            Self::Likelihood => &[
                "review.mode=likelihood",
                "preference.loss.kind=kto",
                "evaluate.gate=keep_better",
                "sft.held_out=0.3",
                "sft.train.evaluate_every=2",
                "preference.held_out=0.3",
                "preference.train.evaluate_every=2",
                "sft.train.checkpoint_every=3",
            ],
            Self::Trainable => &["review.mode=rubric", "sft.iterations=first"],
        };
        let changes: Vec<String> = common.iter().chain(own).map(|change| (*change).to_owned()).collect();
        let recipe = Recipe { model: MODEL.into(), seeds: SEEDS.into(), ..Recipe::default() };
        Ok(recipe.with(&changes)?.resolved(inputs))
    }
}

/// Writes the inputs of all worlds into a folder.
pub(crate) fn write_inputs(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut text = String::new();
    for (number, (prompt, response)) in PAIRS.into_iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, r#"{{"id": "s{number}", "prompt": "{prompt}", "response": "{response}"}}"#);
    }
    fs::write(folder.join(SEEDS), &text)?;
    fs::write(folder.join(TASK_DATA), &text)?;
    crate::life::write_first_model(&folder.join(MODEL))?;
    fs::write(
        folder.join(TASK),
        "name = \"held out\"\ndata = \"items.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ prompt }}\"\n\
         [response_nll]\nresponse = \"response\"\n",
    )
}
