//! What a trainer is told to do, before it is put into the trainer's own words.

use std::path::PathBuf;

use lancer_backend::Seed;
use lancer_prefer::{Decay, TrainSettings, loss::PreferenceLoss};

use crate::{
    batches::Division,
    error::TrainerError,
    method::{Activations, Device, Lora, Method, Products},
    settings::{JobSettings, Trainer},
    yaml::Config,
};

/// The folders and files of a job.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The job's folder; everything is in it.
    pub(crate) folder: PathBuf,
}

impl Paths {
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.folder.join("output")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("trainer.log")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.folder.join("run.sh")
    }

    pub(crate) fn description(&self) -> PathBuf {
        self.folder.join("job.json")
    }

    pub(crate) fn process(&self) -> PathBuf {
        self.folder.join("process")
    }

    /// Text of a path for a configuration.
    pub(crate) fn text(path: &std::path::Path) -> String {
        path.display().to_string()
    }
}

/// Everything that a configuration is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) trainer: Trainer,
    pub(crate) job: &'a JobSettings,
    pub(crate) method: &'a Method,
    pub(crate) train: &'a TrainSettings,
    /// Of preference training.
    pub(crate) loss: Option<&'a PreferenceLoss>,
    pub(crate) division: Division,
    /// Optimizer steps.
    pub(crate) steps: u64,
    /// The longest sequence, in tokens.
    pub(crate) max_length: usize,
    pub(crate) has_held_out: bool,
    pub(crate) seed: Seed,
    pub(crate) paths: Paths,
    /// The checkpoint to go on from.
    pub(crate) resume: Option<PathBuf>,
}

impl Plan<'_> {
    /// Warm-up steps, as lancer's own trainer has them.
    pub(crate) fn warmup_steps(&self) -> u64 {
        self.train.schedule.warmup_steps(self.steps)
    }

    /// The seed within the range that `NumPy` takes.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.0 & 0xffff_ffff
    }

    /// How often checkpoints are saved; after the last step alone where the recipe asks for none.
    pub(crate) fn save_steps(&self) -> u64 {
        self.train.checkpoint_every.unwrap_or(self.steps.max(1))
    }

    /// How often what is held out is evaluated, if it is.
    pub(crate) fn evaluate_every(&self) -> Option<u64> {
        self.train.evaluate_every.filter(|_| self.has_held_out)
    }

    pub(crate) fn lora(&self) -> Option<&Lora> {
        self.method.lora()
    }

    pub(crate) fn is_bf16(&self) -> bool {
        self.method.products == Products::Bf16
    }

    pub(crate) fn recomputes(&self) -> bool {
        self.method.activations == Activations::Recompute
    }

    pub(crate) fn is_on_processor(&self) -> bool {
        self.method.device == Some(Device::Cpu)
    }

    /// The fields that transformers' `TrainingArguments` has, by which TRL and LLaMA-Factory are set alike.
    pub(crate) fn transformers_fields(&self, config: &mut Config) {
        let optimizer = &self.train.optimizer;
        let decay = match self.train.schedule.decay {
            Decay::Constant => "constant_with_warmup",
            Decay::Linear => "linear",
            Decay::Cosine => "cosine",
        };
        config.set("output_dir", Paths::text(&self.paths.output()));
        // The data has every epoch, in the order of its own.
        config.set("num_train_epochs", 1);
        config.set("per_device_train_batch_size", self.division.device_batch);
        config.set("gradient_accumulation_steps", self.division.passes);
        config.set("learning_rate", optimizer.learning_rate);
        config.set("lr_scheduler_type", decay);
        config.set("warmup_steps", self.warmup_steps());
        config.set("adam_beta1", optimizer.beta_1);
        config.set("adam_beta2", optimizer.beta_2);
        config.set("adam_epsilon", optimizer.epsilon);
        config.set("weight_decay", optimizer.weight_decay);
        // 0 is no clipping.
        config.set("max_grad_norm", optimizer.max_gradient_norm.unwrap_or(0.0));
        config.set("bf16", self.is_bf16());
        config.set("gradient_checkpointing", self.recomputes());
        if self.is_on_processor() {
            config.set("use_cpu", true);
        }
        config.set("seed", self.seed());
        config.set("logging_steps", 1);
        config.set("report_to", "none");
        config.set("save_strategy", "steps");
        config.set("save_steps", self.save_steps());
        config.set("save_total_limit", self.train.keep_checkpoints);
        config.set("save_only_model", self.train.checkpoint_every.is_none());
        match self.evaluate_every() {
            Some(every) => {
                config.set("eval_strategy", "steps");
                config.set("eval_steps", every);
                config.set("eval_on_start", true);
                config.set("per_device_eval_batch_size", self.division.device_batch);
            }
            None => config.set("eval_strategy", "no"),
        }
        if let Some(checkpoint) = &self.resume {
            config.set("resume_from_checkpoint", Paths::text(checkpoint));
        }
    }

    /// Adds the user's further fields, none of which may be one that the recipe decides.
    pub(crate) fn further_fields(&self, config: &mut Config) -> Result<(), TrainerError> {
        for (name, value) in &self.job.config {
            if config.contains(name) {
                return Err(TrainerError::setting(
                    format!("job.config.{name}"),
                    "the recipe decides it; leave it out here and change the recipe's own setting",
                ));
            }
            let value = serde_json::to_value(value)
                .map_err(|error| TrainerError::setting(format!("job.config.{name}"), error.to_string()))?;
            config.set(name, value);
        }
        Ok(())
    }

    /// An error that names a setting for which the trainer has no field.
    pub(crate) fn no_field(&self, setting: &str, instead: &str) -> TrainerError {
        TrainerError::setting(setting, format!("{} has no field for it; {instead}", self.trainer))
    }
}
