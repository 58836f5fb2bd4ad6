//! Where the models of a run lie. Model 0 is the user's, model `t` comes out of iteration `t`.

use std::path::{Path, PathBuf};

/// The file from which a model is run, unless what is trained on is run itself.
pub fn gguf(run: &Path, model: u32) -> PathBuf {
    run.join("models").join(format!("m{model}.gguf"))
}

/// The folder from which a model is trained on, in Hugging Face's layout. Model 0 has none: it is the user's own file.
pub fn trainable(run: &Path, model: u32) -> PathBuf {
    run.join("models").join(format!("m{model}"))
}

/// The fine-tuned model of an iteration, the reference of its preference training; removed when the iteration ends.
pub(crate) fn fine_tuned(run: &Path, iteration: u32) -> PathBuf {
    run.join("models").join(format!("m{iteration}-sft"))
}

/// Checkpoints of a phase of training; removed when the iteration ends.
pub(crate) fn checkpoints(run: &Path, iteration: u32, phase: &str) -> PathBuf {
    run.join("models").join(format!("m{iteration}-{phase}-checkpoints"))
}

/// Where a program that trains elsewhere has its data, configuration, log and output.
pub fn training(run: &Path, iteration: u32, phase: &str) -> PathBuf {
    run.join("training").join(format!("iteration-{iteration}-{phase}"))
}

/// A model by its name in the ledger.
pub(crate) fn within(run: &Path, name: &str) -> PathBuf {
    run.join("models").join(name)
}

/// What an iteration made, in the layouts that other trainers read.
pub fn export(run: &Path, iteration: u32) -> PathBuf {
    run.join("exports").join(format!("iteration-{iteration}"))
}
