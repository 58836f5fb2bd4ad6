//! The recipe: every number that decides the outcome of a run, as `run.toml` holds it.

mod ablation;
mod changes;
mod commented;
mod described;
mod file;
mod method;
mod servers;
mod training;
mod wording;

use std::path::{Path, PathBuf};

use lancer_backend::{Seed, WeightFormat};
use lancer_data::{CleanSettings, DecontaminationSettings};
use lancer_eval::BootstrapSettings;
use lancer_generate::GenerateSettings;
use lancer_review::{AnnotateSettings, ModeSetting, ReviewSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::ablation::Ablation;
pub use self::changes::with_changes;
pub use self::described::schema;
pub use self::method::Method;
pub use self::servers::ServerSettings;
pub use self::training::{PreferenceSettings, SftIterations, SftSettings};
pub use self::wording::nearest;
use crate::{
    engines::{Engines, TrainingPlace},
    error::EvolveError,
};

/// Every setting of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Which recipe of the literature this one begins from: its settings stand where the file has none of its own.
    pub recipe: Method,
    /// Decides everything that is drawn at random; below 2^63, which is as far as the numbers of TOML go.
    pub seed: Seed,
    /// Number of iterations, 1 to 10,000.
    pub iterations: u32,
    /// When the run ends before it has made all iterations.
    pub stop: Stop,
    /// Tokens that the run may generate and train on, evaluation apart: it ends before an iteration that would take it past
    /// them, if that took as many as the one before. The first iteration is always made. At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// The model to begin with: a GGUF file or a Hugging Face folder.
    pub model: PathBuf,
    /// The seeds, conversations that end with a response: a file, a folder, a pattern such as `data/*.jsonl`, or
    /// `hf://datasets/OWNER/NAME/PATH`.
    pub seeds: PathBuf,
    /// The engine that runs the models, by the name that the caller has for it; the caller's choice where it is absent. The
    /// loop does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Where the models run, if that engine is servers.
    #[serde(skip_serializing_if = "ServerSettings::is_empty")]
    pub server: ServerSettings,
    /// How the weights are held where the model is run, the same for all models of a run, so that they can be compared. An
    /// engine that runs what is trained on has them as they are there, whatever this says: Burn in 32-bit floats, and
    /// llama.cpp, where adapters are trained, as they are in the model's own file.
    pub format: WeightFormat,
    /// System prompts for the model's own work.
    #[serde(skip_serializing_if = "SystemPrompts::is_empty")]
    pub system: SystemPrompts,
    /// How pairs are reviewed.
    pub review: ReviewSettings,
    /// From what new data is written, and how much.
    pub expand: ExpandSettings,
    /// How new data is written.
    pub generate: GenerateSettings,
    /// What is dropped.
    pub clean: CleanSettings,
    /// When new data has too much of an item of an evaluation task; it is then dropped.
    pub decontaminate: DecontaminationSettings,
    /// What is trained on.
    pub annotate: AnnotateSettings,
    /// Fine-tuning.
    pub sft: SftSettings,
    /// Preference optimisation.
    pub preference: PreferenceSettings,
    /// What joins the seeds.
    pub merge: MergeSettings,
    /// Evaluation.
    pub evaluate: EvaluateSettings,
}

/// When a run ends before it has made all iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Never.
    AllIterations,
    /// Where the newest model is worse than the one before on a task beyond doubt and better on none, so that the one before is kept
    /// (as `evaluate.gate = "keep_better"` has it); and where the new responses have become alike.
    Auto,
}

/// The system prompts under which the model works, for chats that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SystemPrompts {
    /// Where it writes new prompts, responses and worse responses. It is no part of the new data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<String>,
    /// Where it reviews, in every mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

impl SystemPrompts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From what new data is written, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpandSettings {
    /// Pairs of the pool that are expanded in an iteration, drawn at random, at least 1; all of them where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<usize>,
    /// Whether pairs of the pool that have a score from an earlier iteration are reviewed again.
    pub pool_scores: PoolScores,
    /// What they are expanded to.
    pub to: Expansion,
    /// By score: pairs with a score above this get worse responses, the others new prompts. 0 to 10.
    pub worse_over: f64,
    /// Worse responses to each pair above, 0 to 1,000.
    pub worse_responses: usize,
    /// New prompts from each of the others, 0 to 1,000.
    pub prompts: usize,
    /// Responses to each new prompt, 0 to 1,000.
    pub responses: usize,
}

/// Whether the pool is reviewed again in later iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolScores {
    /// All of it, by the model of the iteration.
    Reviewed,
    /// A pair keeps the score of its last review; those without one are reviewed.
    Kept,
}

/// What pairs of the pool are expanded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expansion {
    /// Those with a score above `worse_over` to worse responses, the others to new prompts with responses.
    ByScore,
    /// All to new prompts with responses.
    NewPrompts,
    /// All to worse responses.
    WorseResponses,
    /// Nothing is generated.
    Nothing,
}

impl Default for ExpandSettings {
    fn default() -> Self {
        Self {
            sources: None,
            pool_scores: PoolScores::Reviewed,
            to: Expansion::ByScore,
            worse_over: 7.0,
            worse_responses: 4,
            prompts: 4,
            responses: 4,
        }
    }
}

/// What joins the pool of seeds after an iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MergeSettings {
    /// New pairs that were kept and have at least this score join; of several responses to one prompt only the best.
    /// 0 to 10.
    pub threshold: f64,
    /// Which new pairs join.
    pub joins: Joining,
    /// What stays in the pool.
    pub pool: PoolRule,
}

/// Which new pairs join the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// Of each new prompt the best response, if its score is at least the threshold.
    BestOfPrompt,
    /// Everything new that was kept, worse responses too, whatever its score.
    All,
}

/// What stays in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolRule {
    /// All that was in it.
    Grows,
    /// The user's seeds, and what joined after the last iteration.
    SeedsAndNewest,
}

impl Default for MergeSettings {
    fn default() -> Self {
        Self { threshold: 8.0, joins: Joining::BestOfPrompt, pool: PoolRule::Grows }
    }
}

/// Which tasks the models are evaluated on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSettings {
    /// Task files; see `lancer_eval::TaskSpec`.
    pub tasks: Vec<PathBuf>,
    /// Intervals.
    pub bootstrap: BootstrapSettings,
    /// What happens to a model that is worse than the one it came from.
    pub gate: Gate,
}

/// What happens to a model that is worse than the one it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The next iteration starts from it all the same, as in the paper.
    Open,
    /// Where it is worse on a task beyond doubt, and better on none, the next iteration starts from the older model.
    KeepBetter,
}

impl Default for EvaluateSettings {
    fn default() -> Self {
        Self { tasks: Vec::new(), bootstrap: BootstrapSettings::default(), gate: Gate::Open }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            recipe: Method::default(),
            seed: Seed(1),
            iterations: 1,
            stop: Stop::AllIterations,
            budget_tokens: None,
            backend: None,
            server: ServerSettings::default(),
            model: PathBuf::new(),
            seeds: PathBuf::new(),
            format: WeightFormat::Half,
            system: SystemPrompts::default(),
            review: ReviewSettings::default(),
            expand: ExpandSettings::default(),
            generate: GenerateSettings::default(),
            clean: CleanSettings::default(),
            decontaminate: DecontaminationSettings::default(),
            annotate: AnnotateSettings::default(),
            sft: SftSettings::default(),
            preference: PreferenceSettings::default(),
            merge: MergeSettings::default(),
            evaluate: EvaluateSettings::default(),
        }
    }
}

impl Recipe {
    /// Checks the range of every setting.
    ///
    /// # Errors
    /// [`EvolveError::Setting`] or [`EvolveError::Recipe`], naming the setting.
    pub fn validate(&self) -> Result<(), EvolveError> {
        let wrong = |field: &str, value: String, range: &str| {
            Err(EvolveError::Setting { field: field.into(), value, range: range.into() })
        };
        let ExpandSettings { worse_responses, prompts, responses, sources, .. } = self.expand;
        for (field, value, least, most) in [
            ("seed", Some(self.seed.0), 0, i64::MAX as u64),
            ("iterations", Some(self.iterations.into()), 1, 10_000),
            ("budget_tokens", self.budget_tokens, 1, i64::MAX as u64),
            ("expand.sources", sources.map(|sources| sources as u64), 1, i64::MAX as u64),
            ("expand.worse_responses", Some(worse_responses as u64), 0, 1000),
            ("expand.prompts", Some(prompts as u64), 0, 1000),
            ("expand.responses", Some(responses as u64), 0, 1000),
        ] {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                return wrong(field, value.to_string(), &format!("from {least} to {most}"));
            }
        }
        for (field, path) in [("model", &self.model), ("seeds", &self.seeds)] {
            if path.as_os_str().is_empty() {
                return wrong(field, "not given".into(), "the path of a file");
            }
        }
        let tasks = self.evaluate.tasks.iter().map(|path| ("evaluate.tasks", path));
        for (field, path) in [("model", &self.model), ("seeds", &self.seeds)].into_iter().chain(tasks) {
            if path.to_str().is_none() {
                let shown = path.display().to_string();
                return wrong(
                    field,
                    shown,
                    "a path in UTF-8, since run.toml holds it: rename it, or link to it",
                );
            }
        }
        for (field, score) in
            [("expand.worse_over", self.expand.worse_over), ("merge.threshold", self.merge.threshold)]
        {
            if !(0.0..=10.0).contains(&score) {
                return wrong(field, score.to_string(), "from 0 to 10");
            }
        }
        if self.review.mode == ModeSetting::None && self.expand.to == Expansion::ByScore {
            return wrong(
                "expand.to",
                "by_score, and review.mode none".into(),
                "new_prompts, worse_responses or nothing where nothing is reviewed",
            );
        }
        let section = |name: &str, error: &dyn std::fmt::Display| EvolveError::Recipe {
            path: PathBuf::from(format!("[{name}]")),
            reason: error.to_string(),
        };
        self.review.validate().map_err(|error| section("review", &error))?;
        self.generate.validate().map_err(|error| section("generate", &error))?;
        self.clean.validate().map_err(|error| section("clean", &error))?;
        self.decontaminate.validate().map_err(|error| section("decontaminate", &error))?;
        self.annotate.validate().map_err(|error| section("annotate", &error))?;
        self.evaluate.bootstrap.validate().map_err(|error| section("evaluate.bootstrap", &error))?;
        self.sft.validate().map_err(|error| section("sft", &error))?;
        self.preference.validate().map_err(|error| section("preference", &error))
    }

    /// Checks the settings that only the engines know: the learner's tables, and the programs that train elsewhere.
    ///
    /// # Errors
    /// [`EvolveError::Recipe`], naming the table and the setting in it.
    pub fn check_learners(&self, engines: &dyn Engines) -> Result<(), EvolveError> {
        for (phase, trainer, learner) in [
            ("sft", self.sft.trainer(), &self.sft.learner),
            ("preference", self.preference.trainer(), &self.preference.learner),
        ] {
            let wrong = |table: &str, error: &dyn std::fmt::Display| EvolveError::Recipe {
                path: PathBuf::from(format!("[{table}]")),
                reason: error.to_string(),
            };
            let place = trainer.map_or(Ok(TrainingPlace::Here), |of| engines.training_place(of.trainer));
            match (place.map_err(|error| wrong(phase, &error))?, trainer) {
                (TrainingPlace::Elsewhere, Some(trainer)) => {
                    engines.check_trainer(&trainer).map_err(|error| wrong(phase, &error))?;
                }
                _ => engines
                    .check_learner(learner)
                    .map_err(|error| wrong(&format!("{phase}.learner"), &error))?,
            }
        }
        if self.sft.max_examples == Some(0) || self.preference.max_pairs == Some(0) {
            return Ok(());
        }
        let both = engines.check_both_learners(&self.sft.learner, &self.preference.learner);
        both.map_err(|error| EvolveError::Recipe {
            path: PathBuf::from("[sft.learner] and [preference.learner]"),
            reason: error.to_string(),
        })
    }

    /// Makes the paths of models, seeds and tasks absolute, those that are not being relative to `folder`. What is on a
    /// server, as `hf://datasets/...`, stays as it is.
    #[must_use]
    pub fn resolved(mut self, folder: &Path) -> Self {
        let tasks = self.evaluate.tasks.iter_mut();
        for path in [&mut self.model, &mut self.seeds].into_iter().chain(tasks) {
            let on_server = path.to_string_lossy().contains("://");
            if !path.as_os_str().is_empty() && path.is_relative() && !on_server {
                *path = folder.join(&*path);
            }
        }
        self
    }
}
