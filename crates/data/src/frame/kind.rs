//! The type of a column, found from its values.

use polars::prelude::{DataType, Field};
use serde_json::Value;

use crate::schema;

/// What a column's values have been so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Null alone.
    Unknown,
    Bool,
    /// Whole numbers; whether some are below 0, and whether some are over the largest `i64`.
    Whole {
        negative: bool,
        large: bool,
    },
    Fraction,
    Text,
    List(Box<Self>),
    Struct(Vec<(String, Self)>),
    /// A list whose elements do not fit together.
    Mixed(String),
}

impl Kind {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Whole { negative: number < 0, large: false },
                (None, Some(_)) => Self::Whole { negative: false, large: true },
                (None, None) => Self::Fraction,
            },
            Value::String(_) => Self::Text,
            Value::Array(values) => {
                let mut inner = Self::Unknown;
                for value in values {
                    if let Err(reason) = inner.join(Self::of(value)) {
                        return Self::Mixed(reason);
                    }
                }
                Self::List(Box::new(inner))
            }
            Value::Object(object) => {
                Self::Struct(object.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// Takes another value in; an error where one column cannot hold both.
    pub(super) fn join(&mut self, other: Self) -> Result<(), String> {
        match (&mut *self, other) {
            (Self::Mixed(reason), _) => return Err(reason.clone()),
            (_, Self::Mixed(reason)) => return Err(reason),
            (_, Self::Unknown)
            | (Self::Bool, Self::Bool)
            | (Self::Text, Self::Text)
            | (Self::Fraction, Self::Fraction | Self::Whole { .. }) => {}
            (Self::Unknown, other) => *self = other,
            (Self::Whole { .. }, Self::Fraction) => *self = Self::Fraction,
            (Self::Whole { negative, large }, Self::Whole { negative: also_negative, large: also_large }) => {
                *negative |= also_negative;
                *large |= also_large;
            }
            (Self::List(inner), Self::List(other)) => inner.join(*other)?,
            (Self::Struct(fields), Self::Struct(others)) => {
                for (name, other) in others {
                    match fields.iter_mut().find(|(field, _)| *field == name) {
                        Some((_, field)) => field.join(other)?,
                        None => fields.push((name, other)),
                    }
                }
            }
            (known, other) => return Err(format!("{} after {}", other.name(), known.name())),
        }
        Ok(())
    }

    pub(super) fn dtype(&self) -> Result<DataType, String> {
        Ok(match self {
            Self::Unknown | Self::Text => DataType::String,
            Self::Bool => DataType::Boolean,
            Self::Whole { negative: true, large: true } => {
                return Err("whole numbers below 0 and over 2^63 together".into());
            }
            Self::Whole { large: true, .. } => DataType::UInt64,
            Self::Whole { .. } => DataType::Int64,
            Self::Fraction => DataType::Float64,
            Self::List(inner) => DataType::List(Box::new(inner.dtype()?)),
            Self::Struct(fields) if fields.is_empty() => {
                return Err("an object without fields, which Parquet has no type for".into());
            }
            Self::Struct(fields) => DataType::Struct(
                fields
                    .iter()
                    .map(|(name, kind)| Ok(Field::new(name.as_str().into(), kind.dtype()?)))
                    .collect::<Result<_, String>>()?,
            ),
            Self::Mixed(reason) => return Err(reason.clone()),
        })
    }

    fn name(&self) -> &'static str {
        schema::kind(&match self {
            Self::Unknown => Value::Null,
            Self::Bool => Value::Bool(true),
            Self::Whole { .. } | Self::Fraction => Value::from(0),
            Self::Text => Value::from(""),
            Self::List(_) | Self::Mixed(_) => Value::Array(Vec::new()),
            Self::Struct(_) => Value::Object(serde_json::Map::new()),
        })
    }
}
