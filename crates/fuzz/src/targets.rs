//! What is tried: functions over bytes, each with inputs to begin with.

mod adapters;
mod data;
mod engines;
mod mini;
mod model;
mod settings;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{mutate::Format, outcome::Outcome};

pub(crate) use self::data::{PARQUET_TRIAL, decode_parquet};

/// What is tried.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) format: Format,
    /// Reads an input; the folder is the worker's.
    pub(crate) run: fn(&[u8], &Path) -> Outcome,
    /// What is done once in a worker.
    pub(crate) prepare: fn(),
    /// Inputs to begin with, beside those of `fuzz/corpus/NAME` and `fixtures/hostile/NAME`.
    seeds: fn() -> Vec<Vec<u8>>,
    /// The bytes that a worker may have: for the program and its libraries, and for what the input may ask for.
    pub(crate) memory: u64,
}

const fn target(
    name: &'static str,
    format: Format,
    run: fn(&[u8], &Path) -> Outcome,
    seeds: fn() -> Vec<Vec<u8>>,
) -> Target {
    Target { name, format, run, prepare: || {}, seeds, memory: 3 << 30 }
}

/// All targets, those first whose findings were worst.
pub(crate) static ALL: [Target; 23] = [
    target("gguf", Format::Gguf, model::gguf, mini::all),
    target("template", Format::Jinja, model::template, model::templates),
    target("tokenizer", Format::Json, model::tokenizer, model::tokenizers),
    Target { prepare: data::prepare, ..target("parquet", Format::Bytes, data::parquet, data::parquets) },
    Target { memory: 8 << 30, ..target("llama-cpp", Format::Gguf, engines::llama_cpp, mini::all) },
    target("config", Format::Json, model::config, model::configs),
    target("tokenizer-config", Format::Json, model::tokenizer_config, model::tokenizer_configs),
    target("generation-config", Format::Json, model::generation_config, model::generation_configs),
    target("safetensors", Format::Safetensors, model::safetensors, model::weights),
    target("adapter-config", Format::Json, adapters::config, adapters::configs),
    target("adapter", Format::Safetensors, adapters::weights, adapters::weight_files),
    target("gguf-adapter", Format::Gguf, adapters::gguf, adapters::ggufs),
    target("index", Format::Json, model::index, model::indices),
    target("jsonl", Format::Json, data::json_lines, data::lines),
    target("json", Format::Json, data::json, data::arrays),
    target("csv", Format::Csv, data::csv, data::tables),
    target("gzip", Format::Gzip, data::gzip, data::zipped),
    target("zstd", Format::Zstd, data::zstd, data::zstd_packed),
    target("task", Format::Toml, settings::task, settings::tasks),
    target("recipe", Format::Toml, settings::recipe, settings::recipes),
    target("ledger", Format::Bytes, settings::ledger, settings::ledgers),
    Target {
        memory: 16 << 30,
        ..target("checkpoint", Format::Safetensors, engines::checkpoint, engines::checkpoints)
    },
    Target { memory: 16 << 30, ..target("onnx", Format::Bytes, engines::onnx, engines::onnx_files) },
];

/// The target of a name.
pub(crate) fn named(name: &str) -> Result<&'static Target, String> {
    ALL.iter().find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
        format!("there is no target `{name}`; there are {}", names.join(", "))
    })
}

/// The inputs from which a target's others are made.
pub(crate) fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds = (target.seeds)();
    for kept in ["fuzz/corpus", "fixtures/hostile"] {
        let folder = root().join(kept).join(target.name);
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        seeds.extend(files.iter().filter_map(|file| fs::read(file).ok()));
    }
    seeds
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of `fixtures/`, empty where there is none.
fn fixture(path: &str) -> Vec<u8> {
    fs::read(root().join("fixtures").join(path)).unwrap_or_default()
}

/// Writes the input as a file of the worker's folder.
fn file(folder: &Path, name: &str, input: &[u8]) -> Result<PathBuf, Outcome> {
    let path = folder.join(name);
    fs::write(&path, input).map_err(|error| Outcome::refused(&error))?;
    Ok(path)
}

/// The outcome of a reading that may fail.
fn outcome<E: std::error::Error>(result: Result<String, E>) -> Outcome {
    match result {
        Ok(text) => Outcome::Read(text),
        Err(error) => Outcome::refused(&error),
    }
}
