//! `lancer convert`: a model from one form into another.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lancer_model::{ConvertFormat, Model, convert};
use serde_json::json;

use crate::{
    engines::{self, OnnxFormat, OnnxOperators},
    failure::Failure,
    output::Output,
    place::{self, OverwriteOption},
};

/// Write a model as a GGUF file, as a Hugging Face folder or as ONNX.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A GGUF file, a Hugging Face folder, or an adapter that names its base.
    from: PathBuf,
    /// Where to write.
    path: PathBuf,
    /// An adapter over the model, a folder as PEFT has it or a GGUF adapter: it is merged into what is written.
    #[arg(long, value_name = "PATH")]
    adapter: Option<PathBuf>,
    /// What to write; by default a GGUF file where the path ends in `.gguf`, otherwise a Hugging Face folder.
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<Form>,
    /// How weights are written.
    #[arg(long, value_enum, default_value_t = Format::F32)]
    format: Format,
    /// From which operators an ONNX model is made.
    #[arg(long, value_enum, default_value_t = OnnxOperators::Fused)]
    operators: OnnxOperators,
    #[command(flatten)]
    overwrite: OverwriteOption,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// What llama.cpp loads.
    Gguf,
    /// What transformers loads: a Hugging Face folder.
    Folder,
    /// The adapter alone, not merged: a GGUF adapter for llama.cpp where the path ends in `.gguf`, else a folder as PEFT has it.
    Adapter,
    /// What ONNX Runtime, Optimum and transformers.js load: a folder with the model's file in `onnx/`.
    Onnx,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// 32-bit floats.
    F32,
    /// 16 bits: floats in GGUF and ONNX, brain floats in a folder.
    Half,
    /// Blocks of 8-bit integers; GGUF only.
    #[value(name = "q8_0")]
    Q8_0,
    /// Blocks of 8-bit integers; ONNX only.
    Int8,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let Arguments { from, path, adapter, to, format, operators, overwrite } = arguments;
    match (to, place::is_gguf(path)) {
        (Some(Form::Gguf), false) => {
            return Err(Failure::usage(format!("{}: the name of a GGUF file ends in .gguf", path.display())));
        }
        (Some(Form::Folder | Form::Onnx), true) => {
            return Err(Failure::usage(format!(
                "{}: the name of a folder does not end in .gguf",
                path.display()
            )));
        }
        _ => {}
    }
    let wrong = |format: &str, form: &str| Failure::usage(format!("weights cannot be {format} in {form}"));
    let place = place::of_model(path, *overwrite, &[from])?;
    let model = match adapter {
        Some(adapter) => Model::open(from)?.with_adapter(adapter)?,
        None => Model::open(from)?,
    };
    for note in notes(&model, place::is_gguf(path)) {
        errln!("note: {note}");
    }
    if matches!(to, Some(Form::Adapter)) {
        let adapter = model.adapter().ok_or_else(|| {
            Failure::usage(format!("{} is no adapter; give one, or --adapter ADAPTER", from.display()))
        })?;
        let config = model.config();
        let pairs = adapter.pairs.len();
        place.write(|to| {
            let is_file = place::is_gguf(path);
            let written =
                if is_file { adapter.write_gguf(config, to) } else { adapter.write_folder(&model, to) };
            Ok::<_, Failure>(written?)
        })?;
        let result = json!({"path": path, "family": config.family.name(), "pairs": pairs});
        output.print(&result, |_| outln!("{}: an adapter of {pairs} matrices", path.display()));
        return Ok(());
    }
    if matches!(to, Some(Form::Onnx)) {
        let format = match format {
            Format::F32 => OnnxFormat::F32,
            Format::Half => OnnxFormat::F16,
            Format::Int8 => OnnxFormat::Int8,
            Format::Q8_0 => return Err(wrong("q8_0", "ONNX; take int8")),
        };
        place.write(|to| {
            engines::write_onnx(&model, to, format, *operators).map_err(|error| Failure::Failed(error))
        })?;
    } else {
        let format = match format {
            Format::F32 => ConvertFormat::F32,
            Format::Half => ConvertFormat::Half,
            Format::Q8_0 => ConvertFormat::Q8_0,
            Format::Int8 => return Err(wrong("int8", "a GGUF file or a folder; take q8_0 in a GGUF file")),
        };
        place.with_room(format.bytes(&model))?;
        place.write(|to| Ok::<_, Failure>(convert(&model, to, format)?))?;
    }
    let (family, tensors) = (model.config().family.name(), model.tensor_names().len());
    let result = json!({"path": path, "family": family, "tensors": tensors});
    output.print(&result, |_| outln!("{}: {family}, {tensors} tensors", path.display()));
    Ok(())
}

/// What the written model lacks of the one that is read, each in words.
fn notes(model: &Model, into_gguf: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let unused = model.unused_tensors();
    if let Some(first) = unused.first() {
        notes.push(format!(
            "{} tensors of the file are no part of the model that its configuration describes, and are left out; the first is `{first}`",
            unused.len()
        ));
    }
    if into_gguf {
        let lost = model.tokenizer().lost_in_gguf();
        notes.extend(lost.into_iter().map(|lost| format!("GGUF has no field for {lost}")));
    }
    notes
}
