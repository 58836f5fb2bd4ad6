//! One JSON object a line.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value};

use super::{BOM, ReadRow, element::Element};
use crate::integer;

/// The longest line that is read; a longer one is a reject and never stands in memory whole. 16 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

pub(super) fn records(mut reader: impl BufRead, sink: &mut dyn FnMut(ReadRow<'_>)) -> io::Result<()> {
    let mut line = Vec::new();
    for place in 1.. {
        line.clear();
        if reader.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() > MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            let length = line.len() as u64 + skip_line(&mut reader)?;
            let reason = format!("the line has {length} bytes; at most {MAX_LINE_BYTES} are read");
            sink(ReadRow { place, line: &line, row: Err(reason), left_out: &[] });
            continue;
        }
        let mut text = line.as_slice();
        if place == 1 {
            text = text.strip_prefix(BOM).unwrap_or(text);
        }
        let text = text.trim_ascii();
        if !text.is_empty() {
            sink(ReadRow { place, line: text, row: object(text), left_out: &[] });
        }
    }
    Ok(())
}

/// The object that a line or an element of an array is.
pub(super) fn object(line: &[u8]) -> Result<Map<String, Value>, String> {
    let line =
        str::from_utf8(line).map_err(|error| format!("not UTF-8 from byte {}", error.valid_up_to() + 1))?;
    match serde_json::from_str::<Element>(&integer::quoted(line)) {
        Ok(Element(row)) => row,
        Err(error) => Err(format!("not JSON: {}", without_line(&error))),
    }
}

/// The parser's message; the line number of a single line would always be 1.
fn without_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line 1 column ") {
        Some((message, column)) => format!("{message} at column {column}"),
        None => message,
    }
}

/// Reads to the end of the line; the number of bytes.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let (length, ends) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(length);
        skipped += length as u64;
        if ends {
            return Ok(skipped);
        }
    }
}
