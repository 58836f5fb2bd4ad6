//! Reading GGUF. Nothing the file claims is believed before it is held against the file's length.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{ALIGNMENT_KEY, BlockFormat, DEFAULT_ALIGNMENT, MAGIC, Metadata, Value};
use crate::{ModelError, Tensor, mapped::Stored};
use lancer_kernels::RowOrder;

/// A file's lists have at most so many elements together: an element takes more memory than it takes bytes in the file.
const MAX_ELEMENTS: u64 = 1 << 24;

/// A tensor has at most so many dimensions.
const MAX_DIMENSIONS: u32 = 4;

/// No metadata entry takes less than so many bytes: the key's length, the type, a value of one byte.
const MIN_ENTRY_BYTES: u64 = 13;

/// No tensor description takes less than so many bytes: name length, dimensions, type, offset.
const MIN_TENSOR_BYTES: u64 = 24;

/// What the file says of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Rows first, as everywhere outside of GGUF, which stores the fastest dimension first.
    pub shape: Vec<usize>,
    /// How the weights are stored.
    pub kind: BlockFormat,
    /// First byte, from the beginning of the file.
    offset: u64,
    /// Number of bytes.
    bytes: u64,
}

/// An open GGUF file: its description is read, its tensors are read one at a time.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    metadata: Metadata,
    tensors: BTreeMap<String, TensorInfo>,
}

impl GgufFile {
    /// Reads the description of a file.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(|source| io("open", path, source))?;
        let length = file.metadata().map_err(|source| io("read", path, source))?.len();
        let mut header = Header { path, input: BufReader::new(file), offset: 0, length, elements: 0 };

        header.magic()?;
        let version = header.u32()?;
        if version != 2 && version != 3 {
            return Err(not_gguf(path, format!("version {version}, where 2 or 3 can be read")));
        }
        let tensor_count = header.count(MIN_TENSOR_BYTES, "tensors")?;
        let entry_count = header.count(MIN_ENTRY_BYTES, "metadata entries")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let (key, value) = (header.text()?, header.typed_value()?);
            if metadata.insert(key.clone(), value).is_some() {
                return Err(header.damaged(format!("metadata `{key}` stands there twice")));
            }
        }
        let metadata = Metadata(metadata);
        let mut described = Vec::new();
        for _ in 0..tensor_count {
            described.push(header.tensor()?);
        }
        let alignment = metadata.count(path, ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > length.next_power_of_two() {
            return Err(header.damaged(format!("an alignment of {alignment} bytes")));
        }
        let data = header.offset.next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (name, mut info) in described {
            let end = data.checked_add(info.offset).and_then(|start| start.checked_add(info.bytes));
            if info.offset % alignment != 0 || end.is_none_or(|end| end > length) {
                let reason =
                    format!("{} bytes at {} of the data, in a file of {length}", info.bytes, info.offset);
                return Err(ModelError::Tensor { path: path.into(), tensor: name, reason });
            }
            info.offset += data;
            if tensors.contains_key(&name) {
                let reason = "it is described twice".into();
                return Err(ModelError::Tensor { path: path.into(), tensor: name, reason });
            }
            tensors.insert(name, info);
        }
        Ok(Self { path: path.into(), metadata, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its tensors by their GGUF names.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// Where a tensor stands, the rows of its blocks in this order.
    pub(crate) fn stored(&self, name: &str, order: RowOrder) -> Option<Stored<'_>> {
        let info = self.tensors.get(name)?;
        let (path, shape) = (self.path.as_path(), info.shape.as_slice());
        Some(Stored { path, offset: info.offset, bytes: info.bytes, format: info.kind, shape, order })
    }

    /// Reads one tensor, dequantised.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| ModelError::NoTensor { path: self.path.clone(), tensor: name.into() })?;
        let mut file = File::open(&self.path).map_err(|source| io("open", &self.path, source))?;
        // As long as the tensor is within the file, which was checked when its description was read.
        let mut bytes =
            zeros(info.bytes as usize).map_err(|source| io("hold a tensor of", &self.path, source))?;
        file.seek(SeekFrom::Start(info.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| io("read", &self.path, source))?;
        Ok(Tensor { shape: info.shape.clone(), data: lancer_kernels::dequantise(info.kind, &bytes) })
    }
}

/// The description being read.
struct Header<'a> {
    path: &'a Path,
    input: BufReader<File>,
    offset: u64,
    length: u64,
    /// Elements of lists so far.
    elements: u64,
}

impl Header<'_> {
    fn magic(&mut self) -> Result<(), ModelError> {
        if self.length < 24 {
            return Err(not_gguf(self.path, format!("{} bytes are too few for a header", self.length)));
        }
        let found = self.bytes::<4>()?;
        if found == MAGIC {
            return Ok(());
        }
        Err(not_gguf(
            self.path,
            format!("it begins with {:?} in place of \"GGUF\"", String::from_utf8_lossy(&found)),
        ))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ModelError> {
        let left = self.length.saturating_sub(self.offset);
        if bytes.len() as u64 > left {
            return Err(self.damaged(format!("{} bytes are expected, {left} are left", bytes.len())));
        }
        self.input.read_exact(bytes).map_err(|source| io("read", self.path, source))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ModelError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// A number of things that take at least `bytes_each` in what is left of the file.
    fn count(&mut self, bytes_each: u64, things: &str) -> Result<u64, ModelError> {
        let count = self.u64()?;
        let left = self.length.saturating_sub(self.offset);
        if count > left / bytes_each {
            return Err(
                self.damaged(format!("{count} {things} do not fit into the {left} bytes that are left"))
            );
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String, ModelError> {
        let length = self.count(1, "bytes of text")?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.damaged("a text that is not UTF-8".into()))
    }

    fn typed_value(&mut self) -> Result<Value, ModelError> {
        let kind = self.u32()?;
        if kind != 9 {
            return self.value(kind);
        }
        let kind = self.u32()?;
        let count = self.count(least_bytes(kind), "array elements")?;
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            return Err(self.damaged(format!(
                "the metadata has lists of {} elements together; at most {MAX_ELEMENTS} are read",
                self.elements
            )));
        }
        // Grows as elements are read: a `Value` takes more memory than the smallest elements take in the file.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(kind)?);
        }
        Ok(Value::Array(values))
    }

    fn value(&mut self, kind: u32) -> Result<Value, ModelError> {
        Ok(match kind {
            0 => Value::U8(u8::from_le_bytes(self.bytes()?)),
            1 => Value::I8(i8::from_le_bytes(self.bytes()?)),
            2 => Value::U16(u16::from_le_bytes(self.bytes()?)),
            3 => Value::I16(i16::from_le_bytes(self.bytes()?)),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(i32::from_le_bytes(self.bytes()?)),
            6 => Value::F32(f32::from_le_bytes(self.bytes()?)),
            7 => match self.bytes::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(self.damaged(format!("a truth value of {other}"))),
            },
            8 => Value::String(self.text()?),
            10 => Value::U64(self.u64()?),
            11 => Value::I64(i64::from_le_bytes(self.bytes()?)),
            12 => Value::F64(f64::from_le_bytes(self.bytes()?)),
            9 => return Err(self.damaged("an array within an array".into())),
            other => return Err(self.damaged(format!("a value of the unknown type {other}"))),
        })
    }

    fn tensor(&mut self) -> Result<(String, TensorInfo), ModelError> {
        let name = self.text()?;
        let wrong = |path: &Path, reason: String| ModelError::Tensor {
            path: path.into(),
            tensor: name.clone(),
            reason,
        };
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(wrong(
                self.path,
                format!("{dimensions} dimensions, where 1 to {MAX_DIMENSIONS} are possible"),
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        shape.reverse();
        let number = self.u32()?;
        let Some(kind) = BlockFormat::from_number(number) else {
            let known = BlockFormat::ALL.map(|format| format!("{format:?}")).join(", ");
            let reason = format!(
                "its storage type {number} cannot be read or trained over; {known} can: take a file in one of them (llama.cpp's \
                 llama-quantize writes them)"
            );
            return Err(wrong(self.path, reason));
        };
        let offset = self.u64()?;
        let weights = shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
        let bytes = weights.and_then(|weights| {
            (weights / kind.block_length() as u64).checked_mul(kind.block_bytes() as u64)
        });
        let (Some(weights), Some(bytes)) = (weights, bytes) else {
            return Err(wrong(self.path, format!("its shape {shape:?} is impossibly large")));
        };
        let row = shape[shape.len() - 1];
        if weights == 0 || row % kind.block_length() as u64 != 0 {
            return Err(wrong(self.path, format!("its shape {shape:?} is not one of {kind:?}")));
        }
        if bytes > self.length {
            return Err(wrong(self.path, format!("its shape {shape:?} takes more bytes than the file has")));
        }
        // Each dimension is at most the number of weights, which the file's length bounds.
        let shape = shape.into_iter().map(|n| n as usize).collect();
        Ok((name, TensorInfo { shape, kind, offset, bytes }))
    }

    fn damaged(&self, reason: String) -> ModelError {
        ModelError::Damaged { path: self.path.into(), offset: self.offset, reason }
    }
}

/// The fewest bytes that a value of this type takes.
fn least_bytes(kind: u32) -> u64 {
    match kind {
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        _ => 1,
    }
}

/// As many zeros, where there is memory for them.
fn zeros(count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count)?;
    bytes.resize(count, 0);
    Ok(bytes)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.into(), action, source }
}

fn not_gguf(path: &Path, reason: String) -> ModelError {
    ModelError::NotGguf { path: path.into(), reason }
}
