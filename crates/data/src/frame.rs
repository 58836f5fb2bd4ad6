//! Records as Polars frames and back.

mod kind;

use polars::prelude::{AnyValue, Column, DataFrame, DataType, PlSmallStr, Series};
use serde::{Deserialize, Serialize, de};
use serde_json::{Map, Number, Value};

use crate::{
    DataError,
    frame::kind::Kind,
    integer,
    record::{Reject, Rows},
};

/// Rows as a frame: a column for each field, in the order in which fields first appear, null where a row lacks it.
///
/// Nested objects become structs and lists become lists. A field whose values do not fit into one column (text here, a
/// number there) is an error. Whole numbers among fractions become fractions; a column of nulls is text.
pub fn to_frame<T: Serialize>(rows: &[T]) -> Result<DataFrame, DataError> {
    let mut columns: Vec<(String, Kind)> = Vec::new();
    let mut objects = Vec::with_capacity(rows.len());
    for (row, value) in (1..).zip(rows) {
        let (names, fields) = named_fields(row, value)?;
        for name in names {
            let kind = Kind::of(fields.get(&name).unwrap_or(&Value::Null));
            match columns.iter_mut().find(|(column, _)| *column == name) {
                None => columns.push((name, kind)),
                Some((_, known)) => {
                    known.join(kind).map_err(|reason| DataError::Column { column: name, row, reason })?;
                }
            }
        }
        objects.push(fields);
    }
    let columns = columns.into_iter().map(|(name, kind)| {
        let dtype = kind.dtype().map_err(|reason| DataError::Column {
            column: name.clone(),
            row: rows.len(),
            reason,
        })?;
        let values: Vec<AnyValue<'_>> = objects
            .iter()
            .map(|fields| any_value(fields.get(&name).unwrap_or(&Value::Null), &dtype))
            .collect::<Result<_, _>>()?;
        Ok(Series::from_any_values_and_dtype(name.as_str().into(), &values, &dtype, true)?.into())
    });
    let columns: Vec<Column> = columns.collect::<Result<_, DataError>>()?;
    Ok(DataFrame::new(rows.len(), columns)?)
}

/// The texts of a column; what is no text is written as one.
pub(crate) fn texts(frame: &DataFrame, column: &str) -> Result<Vec<Option<String>>, DataError> {
    let column = frame.column(column)?.cast(&DataType::String)?;
    Ok(column.str()?.iter().map(|text| text.map(str::to_owned)).collect())
}

/// The rows of a frame as JSON objects. Nulls are left out; a row with bytes that are not UTF-8 is a reject.
pub fn from_frame(frame: &DataFrame) -> Rows {
    let mut rows = Rows::default();
    for (place, row) in (1..).zip(objects(frame)) {
        match row {
            Ok(row) => rows.rows.push(row),
            Err(reason) => rows.rejects.push(Reject { file: None, place, reason, text: String::new() }),
        }
    }
    rows
}

/// Rows by their fields.
pub(crate) struct Fields {
    /// The names of all fields, in the order in which they first appear.
    pub(crate) names: Vec<String>,
    /// The fields of each row.
    pub(crate) rows: Vec<Map<String, Value>>,
}

pub(crate) fn fields<T: Serialize>(rows: &[T]) -> Result<Fields, DataError> {
    let (mut all, mut objects) = (Vec::new(), Vec::with_capacity(rows.len()));
    for (row, value) in (1..).zip(rows) {
        let (names, fields) = named_fields(row, value)?;
        for name in names {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        objects.push(fields);
    }
    Ok(Fields { names: all, rows: objects })
}

/// The fields of a row, and their names in their order.
fn named_fields<T: Serialize>(row: usize, value: &T) -> Result<(Vec<String>, Map<String, Value>), DataError> {
    let unfit = |source| DataError::Row { row, source };
    // A JSON object has no order of its fields, its text has; the text's numbers are not always the same.
    let text = serde_json::to_string(value).map_err(unfit)?;
    let Names(names) = serde_json::from_str(&text).map_err(unfit)?;
    let fields = serde_json::to_value(value).and_then(serde_json::from_value).map_err(unfit)?;
    Ok((names, fields))
}

/// Each row of a frame, or why it cannot be a JSON object.
pub(crate) fn objects(frame: &DataFrame) -> impl Iterator<Item = Result<Map<String, Value>, String>> {
    (0..frame.height()).map(|row| {
        let mut object = Map::new();
        for column in frame.columns() {
            let value = column.get(row).map_err(|error| error.to_string())?;
            let value = json(value).map_err(|reason| format!("column `{}`: {reason}", column.name()))?;
            if !value.is_null() {
                object.insert(column.name().to_string(), value);
            }
        }
        Ok(object)
    })
}

/// The names of an object's fields in their order.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Names;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((name, de::IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn any_value<'a>(value: &'a Value, dtype: &DataType) -> Result<AnyValue<'a>, DataError> {
    Ok(match (value, dtype) {
        (Value::Bool(value), _) => AnyValue::Boolean(*value),
        (Value::Number(value), DataType::UInt64) => value.as_u64().map_or(AnyValue::Null, AnyValue::UInt64),
        (Value::Number(value), DataType::Int64) => value.as_i64().map_or(AnyValue::Null, AnyValue::Int64),
        (Value::Number(value), _) => value.as_f64().map_or(AnyValue::Null, AnyValue::Float64),
        (Value::String(value), _) => AnyValue::String(integer::as_text(value)),
        (Value::Array(values), DataType::List(inner)) => {
            let values: Vec<_> =
                values.iter().map(|value| any_value(value, inner)).collect::<Result<_, _>>()?;
            AnyValue::List(Series::from_any_values_and_dtype(PlSmallStr::EMPTY, &values, inner, true)?)
        }
        (Value::Object(object), DataType::Struct(fields)) => {
            let values = fields
                .iter()
                .map(|field| {
                    any_value(object.get(field.name().as_str()).unwrap_or(&Value::Null), field.dtype())
                })
                .collect::<Result<_, _>>()?;
            AnyValue::StructOwned(Box::new((values, fields.clone())))
        }
        _ => AnyValue::Null,
    })
}

fn json(value: AnyValue<'_>) -> Result<Value, String> {
    if let Some(text) = value.get_str() {
        return Ok(Value::from(text));
    }
    Ok(match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => Value::Bool(value),
        AnyValue::Float32(value) => float(f64::from(value)),
        AnyValue::Float64(value) => float(value),
        AnyValue::List(series) => Value::Array(series.iter().map(json).collect::<Result<_, _>>()?),
        AnyValue::Struct(_, _, fields) => object(fields.iter().zip(value._iter_struct_av()))?,
        AnyValue::StructOwned(parts) => object(parts.1.iter().zip(parts.0))?,
        AnyValue::Binary(bytes) => Value::from(utf8(bytes)?),
        AnyValue::BinaryOwned(bytes) => Value::from(utf8(&bytes)?),
        other => match (other.extract::<i64>(), other.extract::<u64>()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => return Err(format!("the type {:?} is not read", other.dtype())),
        },
    })
}

/// JSON has no NaN and no infinity: null, as `serde_json` writes them.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn object<'a>(
    fields: impl Iterator<Item = (&'a polars::prelude::Field, AnyValue<'a>)>,
) -> Result<Value, String> {
    let mut object = Map::new();
    for (field, value) in fields {
        let value = json(value)?;
        if !value.is_null() {
            object.insert(field.name().to_string(), value);
        }
    }
    Ok(Value::Object(object))
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|error| format!("not UTF-8 from byte {}", error.valid_up_to() + 1))
}
