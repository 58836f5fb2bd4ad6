//! Changes to GGUF files by their entries: what they say stays readable, and may be anything.

use std::{fs, mem::discriminant};

use lancer_model::{
    ModelError,
    gguf::{self, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
};
use rand::{Rng, seq::IteratorRandom};
use rand_chacha::ChaCha8Rng;

use super::bytes::{self, NUMBERS};

/// One change to an entry, or to a tensor's shape; of bytes where the file cannot be read.
pub(super) fn changed(input: Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    match rewritten(&input, random) {
        Ok(file) => file,
        Err(_) => bytes::changed(input, other, random),
    }
}

fn rewritten(input: &[u8], random: &mut ChaCha8Rng) -> Result<Vec<u8>, ModelError> {
    let io = |source| ModelError::Io { path: "scratch".into(), action: "write", source };
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).map_err(io)?;
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, input).map_err(io)?;
    let file = GgufFile::open(&from)?;
    let mut metadata = file.metadata().clone();
    let mut tensors: Vec<GgufTensor> = file
        .tensors()
        .iter()
        .map(|(name, info)| GgufTensor { name: name.clone(), shape: info.shape.clone() })
        .collect();
    match random.random_range(0..8) {
        0 => {
            if !tensors.is_empty() {
                tensors.remove(random.random_range(0..tensors.len()));
            }
        }
        1 => {
            if let Some(tensor) = tensors.iter_mut().choose(random) {
                let dimension = random.random_range(0..tensor.shape.len());
                tensor.shape[dimension] = [1, 2, 8, 32, 256][random.random_range(0..5)];
            }
        }
        _ => change_entry(&mut metadata, random),
    }
    let write = |tensor: &GgufTensor| {
        let weights = tensor.shape.iter().product();
        let data = file.tensor(&tensor.name).map(|tensor| tensor.data).unwrap_or_default();
        let data = data.into_iter().chain(std::iter::repeat(0.0)).take(weights).collect();
        Ok::<_, ModelError>(lancer_model::Tensor { shape: tensor.shape.clone(), data })
    };
    gguf::write(&to, &metadata, &tensors, GgufFormat::Q8_0, write)?;
    fs::read(&to).map_err(io)
}

fn change_entry(metadata: &mut Metadata, random: &mut ChaCha8Rng) {
    let Some(key) = metadata.0.keys().choose(random).cloned() else { return };
    if random.random_ratio(1, 10) {
        metadata.0.remove(&key);
    } else if let Some(value) = metadata.0.get_mut(&key) {
        change_value(value, random);
    }
}

fn change_value(value: &mut Value, random: &mut ChaCha8Rng) {
    let number = NUMBERS[random.random_range(0..NUMBERS.len())];
    match value {
        _ if random.random_ratio(1, 12) => *value = any_value(number, random),
        Value::U8(n) => *n = number as u8,
        Value::I8(n) => *n = number as i8,
        Value::U16(n) => *n = number as u16,
        Value::I16(n) => *n = number as i16,
        Value::U32(n) => *n = number as u32,
        Value::I32(n) => *n = number as i32,
        Value::U64(n) => *n = number,
        Value::I64(n) => *n = number as i64,
        Value::F32(n) => *n = [0.0, -1.0, f32::NAN, f32::INFINITY, 1e30, 1e-30][random.random_range(0..6)],
        Value::F64(n) => *n = f64::from_bits(number),
        Value::Bool(flag) => *flag = !*flag,
        Value::String(text) => {
            *text = match random.random_range(0..4) {
                0 => String::new(),
                1 => "x".repeat(1 << random.random_range(0..12)),
                2 => ["gpt2", "llama", "bert", "t5", "none", "linear", "yarn", "qwen2", "gemma3", "default"]
                    [random.random_range(0..10)]
                .into(),
                _ => format!("{{% for a in range(99999) %}}{text}{{% endfor %}}"),
            }
        }
        Value::Array(values) if values.is_empty() => {}
        Value::Array(values) => {
            let place = random.random_range(0..values.len());
            match random.random_range(0..5) {
                0 => values.truncate(place),
                1 => values.push(values[place].clone()),
                2 => values[place] = values[random.random_range(0..values.len())].clone(),
                3 => {
                    values.remove(place);
                }
                _ => change_value(&mut values[place], random),
            }
            // The elements of a list have one type in the file.
            let kind = values.first().map(discriminant);
            values.retain(|value| Some(discriminant(value)) == kind && !matches!(value, Value::Array(_)));
        }
    }
}

fn any_value(number: u64, random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..6) {
        0 => Value::U32(number as u32),
        1 => Value::U64(number),
        2 => Value::F32(number as f32),
        3 => Value::String(String::new()),
        4 => Value::Array(vec![Value::U32(number as u32); random.random_range(0..4)]),
        _ => Value::Bool(true),
    }
}
