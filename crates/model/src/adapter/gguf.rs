//! Adapters as GGUF files, with the names and metadata of llama.cpp's `convert_lora_to_gguf.py`.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use super::{Adapter, AdapterBase, AdapterPair, AdapterScale};
use crate::{
    Config, ModelError, Tensor,
    gguf::{self, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
    gguf_weights, names,
};

const TYPE: &str = "general.type";
const LORA: &str = "adapter.type";
const ALPHA: &str = "adapter.lora.alpha";
const ARCHITECTURE: &str = "general.architecture";
/// Keys of lancer's own: the base's path and its SHA-256.
const BASE_PATH: &str = "lancer.base.path";
const BASE_SHA256: &str = "lancer.base.sha256";

/// Whether a file is a GGUF file that says that it is an adapter.
pub(super) fn is_adapter(path: &Path) -> bool {
    let mut magic = [0; 4];
    let is_gguf =
        File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && magic == *b"GGUF";
    is_gguf && GgufFile::open(path).is_ok_and(|file| says_so(&file, path))
}

fn says_so(file: &GgufFile, path: &Path) -> bool {
    matches!(file.metadata().text(path, TYPE), Ok(Some("adapter")))
}

/// The adapter as it is in the file: see [`reorder`].
pub(super) fn read(path: &Path, config: &Config) -> Result<Adapter, ModelError> {
    let file = GgufFile::open(path)?;
    let wrong = |reason: String| ModelError::Adapter { path: path.into(), reason };
    if !says_so(&file, path) || file.metadata().text(path, LORA)? != Some("lora") {
        return Err(wrong(format!("{TYPE} and {LORA} are not `adapter` and `lora`; it is no LoRA adapter")));
    }
    let alpha = file.metadata().float(path, ALPHA)?.ok_or_else(|| wrong(format!("it has no {ALPHA}")))?;
    let architecture = file.metadata().text(path, ARCHITECTURE)?.unwrap_or_default();
    if architecture != config.family.design().gguf {
        let of_base = config.family.design().gguf;
        return Err(wrong(format!(
            "it is for the architecture `{architecture}`, and the base is a `{of_base}`"
        )));
    }
    let mut pairs = BTreeMap::new();
    let mut rank = None;
    for name in file.tensors().keys() {
        let Some(of) = name.strip_suffix(".lora_a") else {
            if name.ends_with(".lora_b") {
                continue;
            }
            return Err(wrong(format!("its tensor `{name}` is neither A nor B of a matrix")));
        };
        let module = names::from_gguf(of, config)
            .and_then(|name| name.strip_suffix(".weight").map(str::to_owned))
            .ok_or_else(|| wrong(format!("it changes `{of}`, which lancer does not train")))?;
        let (down, up) = (file.tensor(name)?, file.tensor(&format!("{of}.lora_b"))?);
        let found = down.shape[0];
        if *rank.get_or_insert(found) != found {
            return Err(wrong(format!("the rank of `{of}` is {found}, and another's is not")));
        }
        pairs.insert(module, AdapterPair { down, up });
    }
    let rank = rank.ok_or_else(|| wrong("it has no pair of A and B".into()))?;
    let base = base(&file, path)?;
    let scale = AdapterScale { rank, alpha, by_root: false };
    Ok(Adapter { scale, pairs, dropout: 0.0, base })
}

/// Brings the rows of each `B` into Hugging Face's order: GGUF files of some families have those of queries and keys in another.
/// The shapes must have been checked.
pub(super) fn reorder(adapter: &mut Adapter, config: &Config) {
    for (module, pair) in &mut adapter.pairs {
        let up = std::mem::replace(&mut pair.up, Tensor { shape: Vec::new(), data: Vec::new() });
        pair.up = gguf_weights::read(up, &format!("{module}.weight"), config);
    }
}

/// The base that a file names, if it does.
pub(super) fn base_of(path: &Path) -> Result<Option<AdapterBase>, ModelError> {
    base(&GgufFile::open(path)?, path)
}

fn base(file: &GgufFile, path: &Path) -> Result<Option<AdapterBase>, ModelError> {
    let (Some(base), Some(hash)) =
        (file.metadata().text(path, BASE_PATH)?, file.metadata().text(path, BASE_SHA256)?)
    else {
        return Ok(None);
    };
    let sha256 = hash.parse().map_err(|error| ModelError::Adapter {
        path: path.into(),
        reason: format!("{BASE_SHA256}: {error}"),
    })?;
    Ok(Some(AdapterBase { path: base.into(), sha256 }))
}

pub(super) fn write(adapter: &Adapter, config: &Config, to: &Path) -> Result<(), ModelError> {
    let text = |text: &str| Value::String(text.into());
    let mut metadata = Metadata::default();
    // llama.cpp divides by the rank always.
    let alpha = adapter.scale.factor() * adapter.scale.rank as f64;
    metadata.0.extend([
        (ARCHITECTURE.to_owned(), text(config.family.design().gguf)),
        (TYPE.to_owned(), text("adapter")),
        (LORA.to_owned(), text("lora")),
        (ALPHA.to_owned(), Value::F32(alpha as f32)),
    ]);
    if let Some(base) = &adapter.base {
        metadata.0.insert(BASE_PATH.into(), text(&base.path.to_string_lossy()));
        metadata.0.insert(BASE_SHA256.into(), text(&base.sha256.to_string()));
    }
    let mut described = Vec::new();
    let mut of = BTreeMap::new();
    for (module, pair) in &adapter.pairs {
        let name = format!("{module}.weight");
        let gguf = names::to_gguf(&name, config)
            .ok_or_else(|| ModelError::NoTensor { path: to.into(), tensor: name.clone() })?;
        let (a, b) = (format!("{gguf}.lora_a"), format!("{gguf}.lora_b"));
        described.push(GgufTensor { name: a.clone(), shape: pair.down.shape.clone() });
        described.push(GgufTensor { name: b.clone(), shape: pair.up.shape.clone() });
        of.insert(a, pair.down.clone());
        of.insert(b, gguf_weights::written(pair.up.clone(), &name, config));
    }
    gguf::write(to, &metadata, &described, GgufFormat::F32, |described| {
        of.remove(&described.name)
            .ok_or_else(|| ModelError::NoTensor { path: to.into(), tensor: described.name.clone() })
    })
}
