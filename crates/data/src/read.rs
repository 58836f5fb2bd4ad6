//! Records from files.

mod csv;
mod element;
mod files;
mod json_array;
mod json_lines;
mod keys;
pub(crate) mod limited;
mod parquet;

use std::{
    fs::File,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    DataError,
    format::Format,
    hub,
    record::{Pair, Pairs, PreferencePairs, Reject, Row, Rows},
    schema,
};

pub use self::files::files_at;
use self::keys::Keys;
pub use json_lines::MAX_LINE_BYTES;
pub use limited::{UnpackLimit, set_unpack_ratio};
pub use parquet::{ParquetTrial, decode_parquet, try_parquet_with};

/// The files that are read for a path, in the order in which they are read: the file itself, all of a folder with a known
/// ending, those of a pattern, or the local copy of a file on the hub, which is fetched where it is absent.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    files_at(&hub::local(path)?)
}

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

/// The same for a preference pair.
const PREFERENCE_FIELDS: [&str; 11] = [
    "key",
    "id",
    "prompt",
    "question",
    "instruction",
    "input",
    "messages",
    "conversations",
    "system",
    "chosen",
    "rejected",
];

/// Reads prompts with their responses from `.jsonl`, `.json`, `.csv` (each of these also packed: `.jsonl.gz`,
/// `.jsonl.zst`) or `.parquet`: a file, all such files of a folder, or those of a pattern such as `data/*.jsonl`.
///
/// Each row's layout is recognised by its fields: `prompt` with `response` or `completion`; Alpaca's `instruction`,
/// `input` and `output` (input after the instruction, an empty line between); `messages` of `role` and `content`;
/// `ShareGPT`'s `conversations` of `from` and `value`; `UltraChat`'s `data`. Of a conversation the first user turn and
/// the answer after it are read. System text, in a turn or under `system`, stands before the prompt.
///
/// A pair's key is the text or whole number under `key` or `id`; without one it is the file's name without its ending,
/// `-`, and the line. Where several files are read and another of them has the key too, since ids begin anew in each, the
/// file's name and `:` come before it. What cannot be read, or has the key of an earlier pair of its file, is a [`Reject`].
/// Empty lines are skipped.
pub fn read_pairs(path: &Path) -> Result<Pairs, DataError> {
    let (pairs, rejects) = gathered(|sink| each_pair(path, sink))?;
    Ok(Pairs { pairs, rejects })
}

/// Reads as [`read_pairs`] does, and hands each pair and reject to `sink` as it comes, for files larger than memory. Only
/// the keys are held, and of a Parquet file one row group.
pub fn each_pair(
    path: &Path,
    sink: &mut dyn FnMut(Result<Pair, Reject>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    each_with_key(path, &PAIR_FIELDS, schema::pair, |pair| &mut pair.key, sink)
}

/// Reads preference pairs from what [`read_pairs`] reads.
///
/// `chosen` and `rejected` are the two responses (text, or `TRL`'s turns) to what stands under `prompt`, `question`,
/// `instruction` or `conversations`; or two conversations that are the same up to their last turns, as turns or as the
/// marked text of `hh-rlhf`. Keys and rejects are as [`read_pairs`] has them.
pub fn read_preferences(path: &Path) -> Result<PreferencePairs, DataError> {
    let (pairs, rejects) = gathered(|sink| {
        each_with_key(path, &PREFERENCE_FIELDS, schema::preference, |pair| &mut pair.key, sink)
    })?;
    Ok(PreferencePairs { pairs, rejects })
}

/// Where records and rejects go as they come.
type Sink<'s, T> = dyn FnMut(Result<T, Reject>) -> Result<(), DataError> + 's;

/// All that `each` hands over, and the rejects apart.
fn gathered<T>(
    each: impl FnOnce(&mut Sink<'_, T>) -> Result<(), DataError>,
) -> Result<(Vec<T>, Vec<Reject>), DataError> {
    let (mut records, mut rejects) = (Vec::new(), Vec::new());
    each(&mut |record| {
        match record {
            Ok(record) => records.push(record),
            Err(reject) => rejects.push(reject),
        }
        Ok(())
    })?;
    Ok((records, rejects))
}

/// Hands every record to `sink` as what `of_row` makes of it; one whose key was there before in its file is a reject.
fn each_with_key<T>(
    path: &Path,
    fields: &[&str],
    of_row: fn(Map<String, Value>, &str) -> Result<T, String>,
    key: fn(&mut T) -> &mut String,
    sink: &mut Sink<'_, T>,
) -> Result<(), DataError> {
    let files = files_of(path)?;
    let mut keys = Keys::of(&files);
    for (number, file) in files.iter().enumerate() {
        each_record_of(file, Some(fields), &mut |record| {
            let made = match &record.row {
                Ok(row) => of_row(row.clone(), &automatic_key(file, record.place)),
                Err(reason) => Err(reason.clone()),
            };
            let made = made.and_then(|mut made| {
                let key = key(&mut made);
                match keys.take(number, key) {
                    Some(taken) => *key = taken,
                    None => return Err(format!("an earlier pair has the key `{key}`")),
                }
                Ok(made)
            });
            sink(made.map_err(|reason| record.reject(file, reason)))
        })?;
    }
    Ok(())
}

/// Reads any JSON objects, from what [`read_pairs`] reads.
///
/// Nulls of a Parquet file are left out of its rows, so that rows with different fields come back as they were. All values
/// of a `.csv` file are text.
pub fn read_rows(path: &Path) -> Result<Rows, DataError> {
    let (rows, rejects) = gathered(|sink| each_row(path, sink))?;
    Ok(Rows { rows: rows.into_iter().map(|row| row.fields).collect(), rejects })
}

/// Reads as [`read_rows`] does, and hands each row and each reject to `sink` as it comes, for files larger than memory; of a
/// Parquet file one row group is held.
pub fn each_row(
    path: &Path,
    sink: &mut dyn FnMut(Result<Row, Reject>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    for file in files_of(path)? {
        each_record_of(&file, None, &mut |record| match record.row {
            Ok(fields) => sink(Ok(Row { automatic_key: automatic_key(&file, record.place), fields })),
            Err(ref reason) => sink(Err(record.reject(&file, reason.clone()))),
        })?;
    }
    Ok(())
}

/// The file's name without its ending, and the line.
fn automatic_key(file: &Path, place: u64) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}-{place}", without_ending(&name))
}

/// A file's name without the endings that say what it holds.
fn without_ending(name: &str) -> &str {
    let mut stem = name;
    for ending in [".gz", ".zst", ".jsonl", ".json", ".csv", ".parquet"] {
        let start = stem.len().saturating_sub(ending.len());
        if stem.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(ending)) {
            stem = &stem[..start];
        }
    }
    stem
}

/// Hands every record of a file to `sink`.
fn each_record_of(
    file: &Path,
    columns: Option<&[&str]>,
    sink: &mut dyn FnMut(Record<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut result = Ok(());
    records(file, columns, &mut |record| {
        if result.is_ok() {
            result = sink(record);
        }
    })?;
    result
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
    fn reject(&self, file: &Path, reason: String) -> Reject {
        let text = match &self.row {
            Ok(row) if self.line.is_empty() => serde_json::to_string(row).unwrap_or_default(),
            _ => String::from_utf8_lossy(&self.line[..self.line.len().min(800)]).into_owned(),
        };
        let text = text.chars().take(200).collect();
        Reject { file: Some(file.to_owned()), place: self.place, reason, text }
    }
}

/// Hands every record of a file to `sink`, in order; an error if there is none. Of a Parquet file only the named
/// columns are read.
fn records(path: &Path, columns: Option<&[&str]>, sink: &mut dyn FnMut(Record<'_>)) -> Result<(), DataError> {
    let (format, compression) = Format::of(path)?;
    let unreadable = |source: io::Error| match limited::unpacked_too_far(&source) {
        Some(limit) => DataError::UnpacksTooFar { path: path.to_owned(), limit },
        None => DataError::Read { path: path.to_owned(), source },
    };
    let open = || {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
    };
    let reader = || compression.reader(open()?);
    let mut count = 0_u64;
    let mut sink = |record: Record<'_>| {
        count += 1;
        sink(record);
    };
    match format {
        Format::Parquet => parquet::records(path, &open().map_err(unreadable)?, columns, &mut sink)?,
        Format::JsonLines => {
            reader().and_then(|reader| json_lines::records(reader, &mut sink)).map_err(unreadable)?;
        }
        Format::Csv => reader().and_then(|reader| csv::records(reader, &mut sink)).map_err(unreadable)?,
        Format::Json => {
            let mut array = reader().map_err(unreadable)?;
            if starts_with_array(&mut array).map_err(unreadable)? {
                json_array::records(array, &mut sink).map_err(unreadable)?;
            } else {
                // From the beginning, so that lines are counted from there.
                reader().and_then(|reader| json_lines::records(reader, &mut sink)).map_err(unreadable)?;
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
