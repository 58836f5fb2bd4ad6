//! Comma-separated values, the names in the first line.

use std::io::{self, BufRead};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value};

use super::{
    BOM, Record,
    limited::{Records, too_long},
};

pub(super) fn records(reader: impl BufRead, sink: &mut dyn FnMut(Record<'_>)) -> io::Result<()> {
    let (reader, since) = Records::new(reader);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(reader);
    let names = reader.byte_headers().map_err(io_error)?.clone();
    let mut record = ByteRecord::new();
    loop {
        since.reset();
        match reader.read_byte_record(&mut record).map_err(io_error) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let Some(reason) = too_long(&error) else { return Err(error) };
                sink(Record { place: reader.position().line(), line: &[], row: Err(reason) });
                return Ok(());
            }
        }
        let place = record.position().map_or(0, csv::Position::line);
        sink(Record { place, line: record.as_slice(), row: row(&names, &record) });
    }
}

/// The reader's own error, where it is one.
fn io_error(error: csv::Error) -> io::Error {
    if !error.is_io_error() {
        return error.into();
    }
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The fields of a record that are not empty.
fn row(names: &ByteRecord, record: &ByteRecord) -> Result<Map<String, Value>, String> {
    if names.len() != record.len() {
        return Err(format!("{} fields, and the first line names {}", record.len(), names.len()));
    }
    let mut row = Map::new();
    for (place, (name, field)) in names.iter().zip(record).enumerate() {
        let name = if place == 0 { name.strip_prefix(BOM).unwrap_or(name) } else { name };
        let name = text("the first line", name)?;
        let field = text(&format!("the field `{name}`"), field)?;
        if row.contains_key(name) {
            return Err(format!("the first line names `{name}` twice"));
        }
        // As in Parquet, what is not there is left out.
        row.insert(name.to_owned(), if field.is_empty() { Value::Null } else { Value::from(field) });
    }
    row.retain(|_, value| !value.is_null());
    Ok(row)
}

fn text<'b>(what: &str, bytes: &'b [u8]) -> Result<&'b str, String> {
    str::from_utf8(bytes)
        .map_err(|error| format!("{what} is not UTF-8 from byte {}", error.valid_up_to() + 1))
}
