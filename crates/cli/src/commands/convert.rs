//! `lancer convert`: a model from one form into another.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lancer_model::{ConvertFormat, Model, convert};
use serde_json::json;

use crate::{failure::Failure, output::Output};

/// Write a model as a GGUF file or as a Hugging Face folder.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A GGUF file or a Hugging Face folder.
    from: PathBuf,
    /// Where to write: a GGUF file if it ends in `.gguf`, otherwise a Hugging Face folder. Replaced if it is there.
    to: PathBuf,
    /// How weights are written.
    #[arg(long, value_enum, default_value_t = Format::F32)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// 32-bit floats.
    F32,
    /// 16 bits: floats in GGUF, brain floats in a folder.
    Half,
    /// Blocks of 8-bit integers; GGUF only.
    #[value(name = "q8_0")]
    Q8_0,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let format = match arguments.format {
        Format::F32 => ConvertFormat::F32,
        Format::Half => ConvertFormat::Half,
        Format::Q8_0 => ConvertFormat::Q8_0,
    };
    let model = Model::open(&arguments.from)?;
    convert(&model, &arguments.to, format)?;
    let (family, tensors) = (model.config().family.name(), model.tensor_names().len());
    let result = json!({"path": arguments.to, "family": family, "tensors": tensors});
    output.print(&result, |_| println!("{}: {family}, {tensors} tensors", arguments.to.display()));
    Ok(())
}
