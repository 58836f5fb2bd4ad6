//! Adapters: PEFT folders and GGUF files, over a tiny Llama.

use std::{collections::BTreeMap, fs, path::Path};

use lancer_model::{Adapter, AdapterPair, AdapterScale, Model, ModelError, Tensor};

use super::{file, outcome, root};
use crate::outcome::Outcome;

/// The files of a PEFT folder.
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// The base of all adapters here.
fn base() -> Result<Model, ModelError> {
    Model::open(&root().join("fixtures/tiny-llama"))
}

/// Opens an adapter and merges it into its base, as `convert --adapter` does.
fn used(path: &Path, folder: &Path) -> Result<String, ModelError> {
    let base = base()?;
    let adapter = Adapter::open(path, base.config())?;
    let text = format!("{} pairs of rank {}", adapter.pairs.len(), adapter.scale.rank);
    let again = folder.join("again.gguf");
    let _ = fs::remove_file(&again);
    adapter.write_gguf(base.config(), &again)?;
    let merged = base.with_adapter(path)?;
    for name in merged.tensor_names() {
        merged.tensor(&name)?;
    }
    Ok(text)
}

/// Opens a PEFT folder of which one file is the input.
fn folder_with(name: &str, other: (&str, Vec<u8>), input: &[u8], folder: &Path) -> Outcome {
    let peft = folder.join("peft");
    if let Err(error) = fs::create_dir_all(&peft).and_then(|()| fs::write(peft.join(other.0), other.1)) {
        return Outcome::refused(&error);
    }
    match file(&peft, name, input) {
        Ok(_) => outcome(used(&peft, folder)),
        Err(outcome) => outcome,
    }
}

pub(super) fn config(input: &[u8], folder: &Path) -> Outcome {
    folder_with(CONFIG, (WEIGHTS, written(WEIGHTS)), input, folder)
}

pub(super) fn weights(input: &[u8], folder: &Path) -> Outcome {
    folder_with(WEIGHTS, (CONFIG, written(CONFIG)), input, folder)
}

pub(super) fn gguf(input: &[u8], folder: &Path) -> Outcome {
    match file(folder, "adapter.gguf", input) {
        Ok(path) => outcome(used(&path, folder)),
        Err(outcome) => outcome,
    }
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    vec![written(CONFIG)]
}

pub(super) fn weight_files() -> Vec<Vec<u8>> {
    vec![written(WEIGHTS)]
}

pub(super) fn ggufs() -> Vec<Vec<u8>> {
    vec![written("adapter.gguf")]
}

/// A file of a small adapter, as lancer writes it; empty where it cannot be written.
fn written(name: &str) -> Vec<u8> {
    let write = || -> Result<Vec<u8>, ModelError> {
        let base = base()?;
        let folder = tempfile::tempdir().map_err(|source| ModelError::Io {
            path: "adapter".into(),
            action: "make",
            source,
        })?;
        let adapter = adapter(&base);
        let (peft, gguf) = (folder.path().join("peft"), folder.path().join("adapter.gguf"));
        adapter.write_folder(&base, &peft)?;
        adapter.write_gguf(base.config(), &gguf)?;
        let file = if name == CONFIG || name == WEIGHTS { peft.join(name) } else { gguf };
        Ok(fs::read(file).unwrap_or_default())
    };
    write().unwrap_or_default()
}

fn adapter(base: &Model) -> Adapter {
    let scale = AdapterScale { rank: 2, alpha: 4.0, by_root: false };
    let modules = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"];
    let pair = |module: &str| {
        let weights = base.tensor(&format!("{module}.weight")).ok()?;
        let [output, input] = <[usize; 2]>::try_from(&weights.shape[..]).ok()?;
        let matrix =
            |shape: [usize; 2]| Tensor { shape: shape.into(), data: vec![0.25; shape[0] * shape[1]] };
        let pair = AdapterPair { down: matrix([scale.rank, input]), up: matrix([output, scale.rank]) };
        Some((module.to_owned(), pair))
    };
    let pairs: BTreeMap<String, AdapterPair> = modules.into_iter().filter_map(pair).collect();
    Adapter { scale, pairs, dropout: 0.0, base: None }
}
