//! Writing GGUF, version 3.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use half::f16;
use lancer_output::{Existing, Place};

use super::{BlockFormat, DEFAULT_ALIGNMENT, MAGIC, Metadata, Value};
use crate::{ModelError, Tensor};

/// How weights are stored. Tensors of one dimension (norms, biases) are always written as `F32`, and so are those whose
/// rows are no multiple of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GgufFormat {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Blocks of 32 8-bit integers with a common scale.
    Q8_0,
}

/// A tensor to write: its shape is needed before its weights, which are then asked for one tensor at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufTensor {
    /// The GGUF name.
    pub name: String,
    /// Rows first.
    pub shape: Vec<usize>,
}

/// Writes a file. It has its name only when it is whole, and replaces nothing.
///
/// `read` gives the weights of a tensor; it is called once for each, in their order.
pub fn write<E: From<ModelError>>(
    path: &Path,
    metadata: &Metadata,
    tensors: &[GgufTensor],
    format: GgufFormat,
    mut read: impl FnMut(&GgufTensor) -> Result<Tensor, E>,
) -> Result<(), E> {
    let failed = |source| ModelError::Io { path: path.into(), action: "write", source };
    let place = Place::file(path, Existing::Kept).map_err(ModelError::from)?;
    let scratch = place.begin().map_err(ModelError::from)?;
    let mut output = BufWriter::new(File::create(scratch.path()).map_err(failed)?);
    write_header(&mut output, metadata, tensors, format).map_err(failed)?;
    for described in tensors {
        let tensor = read(described)?;
        let expected: usize = described.shape.iter().product();
        if tensor.shape != described.shape || tensor.data.len() != expected {
            let reason = format!("{} weights for the shape {:?}", tensor.data.len(), described.shape);
            return Err(
                ModelError::Tensor { path: path.into(), tensor: described.name.clone(), reason }.into()
            );
        }
        let bytes = encode(storage(&described.shape, format), &tensor.data);
        output.write_all(&bytes).map_err(failed)?;
        pad(&mut output, bytes.len() as u64).map_err(failed)?;
    }
    output.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(scratch.finish().map_err(ModelError::from)?)
}

fn storage(shape: &[usize], format: GgufFormat) -> BlockFormat {
    match format {
        GgufFormat::F16 if shape.len() > 1 => BlockFormat::F16,
        GgufFormat::Q8_0 if shape.len() > 1 && shape[shape.len() - 1].is_multiple_of(32) => BlockFormat::Q8_0,
        _ => BlockFormat::F32,
    }
}

fn encode(kind: BlockFormat, weights: &[f32]) -> Vec<u8> {
    match kind {
        BlockFormat::F16 => weights.iter().flat_map(|&weight| f16::from_f32(weight).to_le_bytes()).collect(),
        BlockFormat::Q8_0 => lancer_kernels::quantise_q8_0(weights),
        _ => weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
    }
}

fn write_header(
    output: &mut impl Write,
    metadata: &Metadata,
    tensors: &[GgufTensor],
    format: GgufFormat,
) -> io::Result<()> {
    let mut header = Vec::new();
    header.extend(MAGIC);
    header.extend(3_u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.0.len() as u64).to_le_bytes());
    for (key, value) in &metadata.0 {
        text(&mut header, key);
        header.extend(value.type_number().to_le_bytes());
        put(&mut header, value);
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        let kind = storage(&tensor.shape, format);
        text(&mut header, &tensor.name);
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        for &dimension in tensor.shape.iter().rev() {
            header.extend((dimension as u64).to_le_bytes());
        }
        header.extend(kind.number().to_le_bytes());
        header.extend(offset.to_le_bytes());
        let weights: usize = tensor.shape.iter().product();
        let bytes = weights / kind.block_length() * kind.block_bytes();
        offset += (bytes as u64).next_multiple_of(DEFAULT_ALIGNMENT);
    }
    output.write_all(&header)?;
    pad(output, header.len() as u64)
}

fn pad(output: &mut impl Write, written: u64) -> io::Result<()> {
    let missing = written.next_multiple_of(DEFAULT_ALIGNMENT) - written;
    output.write_all(&[0; DEFAULT_ALIGNMENT as usize][..missing as usize])
}

fn text(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(text.as_bytes());
}

fn put(header: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(n) => header.extend(n.to_le_bytes()),
        Value::I8(n) => header.extend(n.to_le_bytes()),
        Value::U16(n) => header.extend(n.to_le_bytes()),
        Value::I16(n) => header.extend(n.to_le_bytes()),
        Value::U32(n) => header.extend(n.to_le_bytes()),
        Value::I32(n) => header.extend(n.to_le_bytes()),
        Value::F32(n) => header.extend(n.to_le_bytes()),
        Value::Bool(flag) => header.push(u8::from(*flag)),
        Value::String(string) => text(header, string),
        Value::U64(n) => header.extend(n.to_le_bytes()),
        Value::I64(n) => header.extend(n.to_le_bytes()),
        Value::F64(n) => header.extend(n.to_le_bytes()),
        Value::Array(values) => {
            // An empty array still has a type; readers do not look at it.
            header.extend(values.first().map_or(4, Value::type_number).to_le_bytes());
            header.extend((values.len() as u64).to_le_bytes());
            for value in values {
                put(header, value);
            }
        }
    }
}
