//! Training by another program: TRL, LLaMA-Factory, Axolotl, or any command.
//!
//! A [`Job`] writes the data and the configuration that its settings amount to, starts the program, follows its log, checks the
//! model that it wrote and hands it over. The examples are tokens already, in the order and the batches of lancer's own trainer, so
//! that the same settings give the same losses.
//!
//! * [`check`] refuses a setting that a trainer has no field for, by its name, before anything is done.
//! * Everything is kept in the job's folder: `data/`, `config.yaml`, `run.sh`, `trainer.log`, `job.json` (command, versions).
//! * A job whose program failed or was ended goes on from the program's last checkpoint when it is [run](Job::run) again.
//! * [`TrainedModel::export`] writes what was trained with the tokenizer and chat template of the model that it started from; a
//!   PEFT adapter is merged.

mod adapter;
mod axolotl;
mod batches;
mod command;
mod data;
mod encode;
mod error;
mod follow;
mod job;
mod launch;
mod llama_factory;
mod log;
mod method;
mod plan;
mod process;
mod settings;
mod start;
mod taken;
mod token_text;
mod trl;
mod versions;
mod yaml;

pub use self::{
    error::TrainerError,
    job::{Done, Job, check},
    method::{Activations, Device, Lora, Method, Products, Weights},
    process::end_all,
    settings::{JobSettings, Trainer},
    taken::TrainedModel,
};
