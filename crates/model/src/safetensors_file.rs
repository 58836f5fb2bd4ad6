//! Reading safetensors (<https://github.com/huggingface/safetensors>), one file or several under an index.
//!
//! Only the header is read at first; tensors are read one at a time.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use safetensors::{Dtype, tensor::Metadata};
use serde::Deserialize;

use crate::{ModelError, Tensor, mapped::Stored};
use lancer_kernels::{BlockFormat, RowOrder};

/// The longest header that is read, the same limit as the safetensors library has.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The tensors of a folder, by name.
#[derive(Debug)]
pub(crate) struct SafetensorsFiles(BTreeMap<String, Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    offset: u64,
    bytes: usize,
    kind: Dtype,
    shape: Vec<usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl SafetensorsFiles {
    /// Reads the header of `model.safetensors`, or without it those of the files that `model.safetensors.index.json` names.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        let index_path = folder.join("model.safetensors.index.json");
        let mut tensors = BTreeMap::new();
        // As transformers: an index beside the whole file is left over from before.
        let whole = folder.join("model.safetensors");
        if whole.exists() || !index_path.exists() {
            read_header(&whole, &mut tensors)?;
            return Ok(Self(tensors));
        }
        let wrong = |reason: String| ModelError::Config { path: index_path.clone(), reason };
        let text = fs::read_to_string(&index_path).map_err(|source| io("read", &index_path, source))?;
        let index: Index = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let files: std::collections::BTreeSet<&String> = index.weight_map.values().collect();
        for file in files {
            // A name that leads out of the folder is no shard of this model.
            if Path::new(file).components().count() != 1 || file.starts_with("..") {
                return Err(wrong(format!("the shard `{file}` is not a file of this folder")));
            }
            read_header(&folder.join(file), &mut tensors)?;
        }
        if let Some(missing) = index.weight_map.keys().find(|name| !tensors.contains_key(*name)) {
            return Err(ModelError::NoTensor { path: folder.into(), tensor: missing.clone() });
        }
        Ok(Self(tensors))
    }

    /// Reads the header of one file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        read_header(path, &mut tensors)?;
        Ok(Self(tensors))
    }

    /// The names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Where a tensor of floats stands.
    pub(crate) fn stored(&self, name: &str) -> Option<Stored<'_>> {
        let place = self.0.get(name)?;
        let format = match place.kind {
            Dtype::F32 => BlockFormat::F32,
            Dtype::F16 => BlockFormat::F16,
            Dtype::BF16 => BlockFormat::BF16,
            _ => return None,
        };
        let (path, shape, bytes) = (place.path.as_path(), place.shape.as_slice(), place.bytes as u64);
        Some(Stored { path, offset: place.offset, bytes, format, shape, order: RowOrder::AsCounted })
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|place| place.shape.as_slice())
    }

    /// Reads a tensor.
    pub(crate) fn tensor(&self, folder: &Path, name: &str) -> Result<Tensor, ModelError> {
        let place = self
            .0
            .get(name)
            .ok_or_else(|| ModelError::NoTensor { path: folder.into(), tensor: name.into() })?;
        let mut file = File::open(&place.path).map_err(|source| io("open", &place.path, source))?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(place.bytes)
            .map_err(|source| io("hold a tensor of", &place.path, source.into()))?;
        bytes.resize(place.bytes, 0);
        file.seek(SeekFrom::Start(place.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| io("read", &place.path, source))?;
        let data = match place.kind {
            Dtype::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Dtype::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => {
                bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
            }
            other => {
                let reason = format!("its type {other:?} cannot be read; F32, F16 and BF16 can");
                return Err(ModelError::Tensor { path: place.path.clone(), tensor: name.into(), reason });
            }
        };
        Ok(Tensor { shape: place.shape.clone(), data })
    }
}

fn read_header(path: &Path, tensors: &mut BTreeMap<String, Place>) -> Result<(), ModelError> {
    let damaged = |offset, reason: String| ModelError::Damaged { path: path.into(), offset, reason };
    let mut file = File::open(path).map_err(|source| io("open", path, source))?;
    let length = file.metadata().map_err(|source| io("read", path, source))?.len();
    let mut size = [0; 8];
    if length < 8 {
        return Err(damaged(0, format!("{length} bytes are too few for a safetensors header")));
    }
    file.read_exact(&mut size).map_err(|source| io("read", path, source))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER_BYTES || size > length - 8 {
        return Err(damaged(0, format!("a header of {size} bytes in a file of {length}")));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(|source| io("read", path, source))?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(8, error.to_string()))?;
    for (name, info) in metadata.tensors() {
        let wrong = |reason: String| ModelError::Tensor { path: path.into(), tensor: name.clone(), reason };
        let (start, end) = info.data_offsets;
        let weights = info.shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        let bits = weights.and_then(|weights| weights.checked_mul(info.dtype.bitsize()));
        if start > end || end as u64 > length - 8 - size || bits != (end - start).checked_mul(8) {
            let reason =
                format!("{:?} of shape {:?} at bytes {start} to {end} of the data", info.dtype, info.shape);
            return Err(wrong(reason));
        }
        let place = Place {
            path: path.into(),
            offset: 8 + size + start as u64,
            bytes: end - start,
            kind: info.dtype,
            shape: info.shape.clone(),
        };
        if tensors.insert(name.clone(), place).is_some() {
            return Err(wrong("it is in two files".into()));
        }
    }
    Ok(())
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.into(), action, source }
}
