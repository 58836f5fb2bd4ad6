//! `lancer init`: a recipe file for a model and a machine.

use std::{fs, path::PathBuf};

use clap::Args;
use lancer_evolve::{EvolveError, Recipe};
use lancer_output::Place;

use crate::{engines, failure::Failure, options::default_model, output::Output, place::OverwriteOption};

/// Write a recipe file with every setting, its description and its value.
///
/// Edit it, then start the run with `lancer evolve --recipe FILE`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The file to write.
    #[arg(default_value = "recipe.toml", value_name = "FILE")]
    file: PathBuf,
    /// The model to begin with: a GGUF file or a Hugging Face folder.
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// The pairs of a prompt and a response to begin with.
    #[arg(long, value_name = "FILE")]
    seeds: Option<PathBuf>,
    /// Change any setting, such as `--set preference.loss.beta=0.2`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    overwrite: OverwriteOption,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let place = Place::file(&arguments.file, arguments.overwrite.existing())?;
    // A file without a model is a beginning too.
    let model = arguments.model.clone().or_else(|| default_model().ok()).unwrap_or_default();
    let mut recipe = Recipe { model, ..Recipe::default() };
    if let Some(seeds) = &arguments.seeds {
        recipe.seeds.clone_from(seeds);
    }
    let recipe = recipe.with(&arguments.set)?;
    let learner = engines::learner_schema();
    let text = recipe.commented(None, learner.as_ref()).unwrap_or_default();
    place.write(|path| {
        fs::write(path, &text).map_err(|source| {
            Failure::from(EvolveError::Io { action: "write", path: arguments.file.clone(), source })
        })
    })?;
    let json = serde_json::json!({ "recipe": arguments.file });
    output.print(&json, |_| {
        outln!("recipe      {}", arguments.file.display());
        outln!("start it    lancer evolve --recipe {}", arguments.file.display());
    });
    Ok(())
}
