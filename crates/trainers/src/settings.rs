//! How a trainer is found and started: a table of the recipe that the loop passes on unread.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::TrainerError;

/// A program that trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trainer {
    /// Hugging Face's TRL: `trl sft` and `trl dpo`.
    Trl,
    /// LLaMA-Factory: `llamafactory-cli train`.
    LlamaFactory,
    /// Axolotl: `axolotl train`.
    Axolotl,
    /// Any program that reads `job.json` and writes a Hugging Face folder.
    Command,
}

impl Trainer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Trl, Self::LlamaFactory, Self::Axolotl, Self::Command];

    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trl => "trl",
            Self::LlamaFactory => "llama-factory",
            Self::Axolotl => "axolotl",
            Self::Command => "command",
        }
    }

    /// The Python packages of which the versions are recorded, the trainer's own first.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Trl => &["trl", "transformers", "peft", "accelerate", "datasets", "torch", "deepspeed"],
            Self::LlamaFactory => {
                &["llamafactory", "trl", "transformers", "peft", "accelerate", "torch", "deepspeed"]
            }
            Self::Axolotl => &["axolotl", "trl", "transformers", "peft", "accelerate", "torch", "deepspeed"],
            Self::Command => &[],
        }
    }
}

impl fmt::Display for Trainer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Trainer {
    type Err = TrainerError;

    fn from_str(name: &str) -> Result<Self, TrainerError> {
        Self::ALL.into_iter().find(|trainer| trainer.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            TrainerError::setting("trainer", format!("there is no trainer `{name}`; there are {known}"))
        })
    }
}

/// How a trainer is found and started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobSettings {
    /// The Python of the environment that the trainer is installed in, such as `/opt/trl/bin/python`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// The words that start the processes of a training, before the trainer's module: `["torchrun", "--nproc-per-node", "8"]`
    /// or `["accelerate", "launch", "--config_file", "fsdp2.yaml"]`. Empty: the trainer's own command starts them.
    pub launch: Vec<String>,
    /// The words that bring the training to where it is run, and that end when it ends: `["sbatch", "--wait", "--gpus=8",
    /// "{script}"]`. `{script}` is a shell script in the job's folder; without it `bash` and the script come last. Empty: it is
    /// run here.
    pub submit: Vec<String>,
    /// For TRL, what its `--accelerate_config` takes: `fsdp1`, `fsdp2`, `zero1`, `zero2`, `zero3`, `multi_gpu`, `single_gpu`
    /// or the path of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerate_config: Option<String>,
    /// The processes that train, one a card; at least 1. The batch of the recipe is divided among them.
    pub processes: usize,
    /// Examples of one process in one forward pass, at least 1. Where it is absent, as many as `tokens_per_forward` has room
    /// for at the longest length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_batch: Option<usize>,
    /// For `command`, the program and its arguments; `{job}` is the path of `job.json`.
    pub command: Vec<String>,
    /// Further fields of the trainer's own configuration, as it names them. What the recipe decides cannot be set here.
    pub config: toml::Table,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            python: None,
            launch: Vec::new(),
            submit: Vec::new(),
            accelerate_config: None,
            processes: 1,
            device_batch: None,
            command: Vec::new(),
            config: toml::Table::new(),
        }
    }
}

impl JobSettings {
    /// Reads the table of a recipe.
    ///
    /// # Errors
    /// [`TrainerError::Setting`], naming the setting and what it takes.
    pub fn from_table(table: &toml::Table) -> Result<Self, TrainerError> {
        table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| TrainerError::setting("job", error.message()))
    }
}
