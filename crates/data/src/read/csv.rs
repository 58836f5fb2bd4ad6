//! Values separated by commas, semicolons or tabs, the names in the first line.

use std::io::{self, BufRead};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value};

use super::{
    BOM, ReadRow,
    limited::{Records, too_long},
};
use crate::format::Format;

pub(super) fn records(
    mut reader: impl BufRead,
    format: Format,
    sink: &mut dyn FnMut(ReadRow<'_>),
) -> io::Result<()> {
    let delimiter = if format == Format::Tsv { b'\t' } else { delimiter(reader.fill_buf()?) };
    let (reader, since) = Records::new(reader);
    let mut reader = ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(reader);
    let names = reader.byte_headers().map_err(io_error)?.clone();
    let mut record = ByteRecord::new();
    loop {
        since.reset();
        match reader.read_byte_record(&mut record).map_err(io_error) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let Some(reason) = too_long(&error) else { return Err(error) };
                sink(ReadRow { place: reader.position().line(), line: &[], row: Err(reason), left_out: &[] });
                return Ok(());
            }
        }
        let place = record.position().map_or(0, csv::Position::line);
        sink(ReadRow { place, line: record.as_slice(), row: row(&names, &record), left_out: &[] });
    }
}

/// What separates the names in the first line: a comma, unless there are more semicolons, as spreadsheets write them where a
/// comma is the decimal mark, or more tabs.
fn delimiter(beginning: &[u8]) -> u8 {
    let mut in_text = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for &byte in beginning.iter().take_while(|&&byte| byte != b'\n') {
        in_text ^= byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!in_text && byte == *delimiter);
        }
    }
    // The first among equals.
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map_or(b',', |(delimiter, _)| delimiter)
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
