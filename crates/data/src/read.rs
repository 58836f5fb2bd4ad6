//! Records from files.

mod element;
mod json_array;
mod json_lines;
mod parquet;

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Seek},
    path::Path,
};

use serde_json::{Map, Value};

use crate::{
    DataError,
    format::Format,
    hub,
    record::{Pairs, Reject, Rows},
    schema,
};

pub use json_lines::MAX_LINE_BYTES;

/// The fields in which a pair can stand. Other columns of a Parquet file are not read.
const PAIR_FIELDS: [&str; 12] = [
    "key",
    "id",
    "prompt",
    "response",
    "completion",
    "instruction",
    "input",
    "output",
    "messages",
    "conversations",
    "data",
    "system",
];

/// Reads prompts with their responses from a `.jsonl`, `.json` or `.parquet` file.
///
/// Each row's layout is recognised by its fields: `prompt` with `response` or `completion`; Alpaca's `instruction`,
/// `input` and `output` (input after the instruction, an empty line between); `messages` of `role` and `content`;
/// `ShareGPT`'s `conversations` of `from` and `value`; `UltraChat`'s `data`. Of a conversation the first user turn and
/// the answer after it are read. System text, in a turn or under `system`, stands before the prompt.
///
/// A pair's key is the text or whole number under `key` or `id`; without one it is the file's name without its ending,
/// `-`, and the line. What cannot be read, or has the key of an earlier pair, is a [`Reject`]. Empty lines are skipped.
pub fn read_pairs(path: &Path) -> Result<Pairs, DataError> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut read = Pairs::default();
    let mut keys = HashSet::new();
    records(path, Some(&PAIR_FIELDS), &mut |record| {
        let pair = match &record.row {
            Ok(row) => schema::pair(row.clone(), &format!("{stem}-{}", record.place)),
            Err(reason) => Err(reason.clone()),
        };
        let pair = pair.and_then(|pair| {
            if keys.insert(pair.key.clone()) {
                Ok(pair)
            } else {
                Err(format!("an earlier pair has the key `{}`", pair.key))
            }
        });
        match pair {
            Ok(pair) => read.pairs.push(pair),
            Err(reason) => read.rejects.push(record.reject(reason)),
        }
    })?;
    Ok(read)
}

/// Reads any JSON objects from a `.jsonl`, `.json` or `.parquet` file.
///
/// Nulls of a Parquet file are left out of its rows, so that rows with different fields come back as they were.
pub fn read_rows(path: &Path) -> Result<Rows, DataError> {
    let mut read = Rows::default();
    records(path, None, &mut |record| match record.row {
        Ok(row) => read.rows.push(row),
        Err(ref reason) => read.rejects.push(record.reject(reason.clone())),
    })?;
    Ok(read)
}

/// One line, array element or row.
struct Record<'a> {
    /// From 1.
    place: u64,
    /// The line as it stands in the file; empty where there is none.
    line: &'a [u8],
    /// The object, or why it is none.
    row: Result<Map<String, Value>, String>,
}

impl Record<'_> {
    fn reject(&self, reason: String) -> Reject {
        let text = match &self.row {
            Ok(row) if self.line.is_empty() => serde_json::to_string(row).unwrap_or_default(),
            _ => String::from_utf8_lossy(&self.line[..self.line.len().min(800)]).into_owned(),
        };
        Reject { place: self.place, reason, text: text.chars().take(200).collect() }
    }
}

/// Hands every record of a file to `sink`, in order; an error if there is none. Of a Parquet file only the named
/// columns are read.
fn records(path: &Path, columns: Option<&[&str]>, sink: &mut dyn FnMut(Record<'_>)) -> Result<(), DataError> {
    let path = &*hub::local(path)?;
    let format = Format::of(path)?;
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let mut count = 0_u64;
    let mut sink = |record: Record<'_>| {
        count += 1;
        sink(record);
    };
    match format {
        Format::Parquet => parquet::records(path, file, columns, &mut sink)?,
        Format::JsonLines => json_lines::records(BufReader::new(file), &mut sink).map_err(unreadable)?,
        Format::Json => {
            let mut reader = BufReader::new(file);
            if starts_with_array(&mut reader).map_err(unreadable)? {
                json_array::records(reader, &mut sink).map_err(unreadable)?;
            } else {
                reader.rewind().map_err(unreadable)?;
                json_lines::records(reader, &mut sink).map_err(unreadable)?;
            }
        }
    }
    if count == 0 {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(())
}

/// Skips white space and a byte order mark; whether `[` follows.
fn starts_with_array(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        let Some(first) = buffer.iter().position(|byte| !byte.is_ascii_whitespace() && !BOM.contains(byte))
        else {
            if buffer.is_empty() {
                return Ok(false);
            }
            let length = buffer.len();
            reader.consume(length);
            continue;
        };
        let found = buffer[first] == b'[';
        reader.consume(first);
        return Ok(found);
    }
}

/// The byte order mark that some editors write before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
