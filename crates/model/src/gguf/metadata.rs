//! Metadata entries: a key and a typed value.

use std::{collections::BTreeMap, path::Path};

use crate::ModelError;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// Floating point, 32 bits.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text.
    String(String),
    /// Values of one type. An array within an array is refused at reading.
    Array(Vec<Value>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// Floating point, 64 bits.
    F64(f64),
}

impl Value {
    /// The number of the value's type in the file format.
    pub(super) fn type_number(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::String(_) => 8,
            Self::Array(_) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    /// A whole number that is not negative, whatever its width.
    pub(super) fn as_count(&self) -> Option<u64> {
        match *self {
            Self::U8(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::U64(n) => Some(n),
            Self::I8(n) => n.try_into().ok(),
            Self::I16(n) => n.try_into().ok(),
            Self::I32(n) => n.try_into().ok(),
            Self::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }
}

/// All metadata of a file, by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A whole number that is not negative. `file` is named in the error.
    pub fn count(&self, file: &Path, key: &str) -> Result<Option<u64>, ModelError> {
        self.typed(file, key, "a whole number that is not negative", Value::as_count)
    }

    /// A number. `file` is named in the error.
    pub fn float(&self, file: &Path, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(file, key, "a floating-point number", |value| match *value {
            // By way of its shortest decimal: 1e-5 was meant, not 9.99999974e-6.
            Value::F32(number) => number.to_string().parse().ok(),
            Value::F64(number) => Some(number),
            _ => None,
        })
    }

    /// Text. `file` is named in the error.
    pub fn text(&self, file: &Path, key: &str) -> Result<Option<&str>, ModelError> {
        self.typed(file, key, "text", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// True or false. `file` is named in the error.
    pub fn flag(&self, file: &Path, key: &str) -> Result<Option<bool>, ModelError> {
        self.typed(file, key, "true or false", |value| match *value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// A list of texts. `file` is named in the error.
    pub fn texts(&self, file: &Path, key: &str) -> Result<Option<Vec<&str>>, ModelError> {
        self.typed(file, key, "a list of texts", |value| match value {
            Value::Array(values) => values
                .iter()
                .map(|value| match value {
                    Value::String(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A list of numbers. `file` is named in the error.
    pub fn floats(&self, file: &Path, key: &str) -> Result<Option<Vec<f64>>, ModelError> {
        self.typed(file, key, "a list of numbers", |value| match value {
            Value::Array(values) => values
                .iter()
                .map(|value| match *value {
                    Value::F32(number) => Some(number.into()),
                    Value::F64(number) => Some(number),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A list of whole numbers that are not negative. `file` is named in the error.
    pub fn counts(&self, file: &Path, key: &str) -> Result<Option<Vec<u64>>, ModelError> {
        self.typed(file, key, "a list of whole numbers", |value| match value {
            Value::Array(values) => values.iter().map(Value::as_count).collect(),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        file: &Path,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(ModelError::Metadata {
                path: file.into(),
                key: key.into(),
                reason: format!("expected {expected}, found a value of type {}", value.type_number()),
            }),
        }
    }
}
